"""What a record looks like in the CMS: its collection, key, fields and links. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from cms.strapi.formats import (
    clock_time,
    label,
    long_day,
    moment,
    read_day,
    read_moment,
    short_code,
    short_day,
    squeezed,
    text,
)
from settings.schema import StrapiSettings
from sync.model import Game, Grade, Ladder, Season, Team

COMPETITIONS = "competitions"
GRADES = "grades"
TEAMS = "teams"
ASSOCIATIONS = "associations"
CLUBS = "clubs"
LINKS = "club-to-competitions"

# Each collection's key: the short code that ends the record's page address.
KEYS: Mapping[str, str] = MappingProxyType(
    {
        COMPETITIONS: "competitionId",
        GRADES: "gradeId",
        TEAMS: "teamID",
        CLUBS: "PlayHQID",
    }
)
GAME_KEY = "gameID"
_GAME_COLLECTIONS: Mapping[str, str] = MappingProxyType(
    {
        "cricket": "game-meta-datas",
        "hockey": "game-data-hockeys",
        "afl": "game-data-afls",
        "netball": "game-data-netballs",
        "basketball": "game-data-basketballs",
    }
)
_FINISHED = frozenset({"final", "abandoned"})


@dataclass(frozen=True, slots=True)
class Target:
    """An entry that a relation should hold, by its collection and key."""

    collection: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entry as it should be.

    `links` are only added to what a relation holds; those named in `exact` hold nothing
    else, and the row is not written without those in `required`. `name_fields` and
    `parent` tell this record from another with the same short code. `addresses` are columns
    with page addresses that end in the key, for entries whose key nobody filled in. A row that
    `must_exist` is not made, and one without the columns in `needed` not written.
    """

    collection: str
    key_field: str
    key: str
    fields: Mapping[str, Any]
    links: Mapping[str, Sequence[Target]] = field(default_factory=dict)
    exact: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    name_fields: tuple[str, ...] = ()
    parent: str | None = None
    addresses: tuple[str, ...] = ()
    must_exist: bool = False
    needed: frozenset[str] = frozenset()


def game_collection(sport: str | None) -> str:
    """Where a sport's games are; unknown or empty means cricket."""
    return _GAME_COLLECTIONS.get((sport or "").strip().lower(), _GAME_COLLECTIONS["cricket"])


class Projection:
    """Records as rows, with the labels of the settings."""

    def __init__(self, settings: StrapiSettings) -> None:
        self._settings = settings

    def season(self, season: Season) -> Row:
        fields: dict[str, Any] = {
            "competitionName": text(season.competition_name or season.name),
            "season": text(season.name),
            "status": label(season.status, self._settings.season_labels),
            "orgName": text(season.association_name),
            "startDate": season.first_day and short_day(season.first_day),
            "endDate": season.last_day and short_day(season.last_day),
        }
        return Row(
            collection=COMPETITIONS,
            key_field=KEYS[COMPETITIONS],
            key=short_code(season.id),
            # What the provider does not tell, the CMS keeps.
            fields={name: value for name, value in fields.items() if value is not None},
            links={"association": [Target(ASSOCIATIONS, short_code(season.association_id))]},
            name_fields=("competitionName", "season"),
            parent="association",
            # `url` in older rows.
            addresses=("competitionUrl", "url"),
        )

    def grade(self, grade: Grade) -> Row:
        fields = {"gradeName": text(grade.name), "url": text(grade.url)}
        return Row(
            collection=GRADES,
            key_field=KEYS[GRADES],
            key=short_code(grade.id),
            fields={name: value for name, value in fields.items() if value is not None},
            links={"competition": [Target(COMPETITIONS, short_code(grade.season_id))]},
            exact=frozenset({"competition"}),
            required=frozenset({"competition"}),
            name_fields=("gradeName",),
            parent="competition",
            addresses=("url",),
            must_exist=not self._settings.create_grades,
        )

    def team(self, team: Team) -> Row:
        links = {"competition": [Target(COMPETITIONS, short_code(team.season_id))]}
        if team.grade_id is not None:
            # Added to earlier ones: games from before a regrading stay in the old grade.
            links["grades"] = [Target(GRADES, short_code(team.grade_id))]
        if team.club_id is not None:
            links["club"] = [Target(CLUBS, short_code(team.club_id))]
        return Row(
            collection=TEAMS,
            key_field=KEYS[TEAMS],
            key=short_code(team.id),
            fields={} if team.name is None else {"teamName": text(team.name)},
            links=links,
            exact=frozenset({"competition", "club"}),
            required=frozenset({"competition"}),
            name_fields=("teamName",),
            parent="competition",
        )

    def game(self, game: Game, *, collection: str, team_names: Mapping[str, str | None]) -> Row:
        first = game.days[0] if game.days else None
        days = sorted({day.day for day in game.days})
        fields = {
            "round": text(game.round),
            "status": label(game.status, self._settings.status_labels),
            "type": label(game.type, self._settings.type_labels),
            "date": long_day(days[0]) if days else None,
            "dayOne": _day_one(game),
            "dateRangeObj": [long_day(day) for day in days],
            "finalDaysPlay": days[-1].isoformat() if days else None,
            "time": clock_time(first.start) if first and first.start else None,
            "ground": text(_ground(game)),
            "urlToScoreCard": text(game.url),
            "teamHome": text(team_names.get(game.home_id)),
            "teamAway": text(team_names.get(game.away_id)),
            "teamHomeID": short_code(game.home_id),
            "teamAwayID": short_code(game.away_id),
            "isFinished": squeezed(game.status or "") in _FINISHED,
            "scorecards": _scores(game),
            "isDeleted": False,
            "deletedAt": None,
            "deletionReason": None,
        }
        return Row(
            collection=collection,
            key_field=GAME_KEY,
            key=short_code(game.id),
            fields=fields,
            links={
                "grade": [Target(GRADES, short_code(game.grade_id))],
                "teams": [Target(TEAMS, short_code(team)) for team in (game.home_id, game.away_id)],
            },
            exact=frozenset({"grade", "teams"}),
            required=frozenset({"grade", "teams"}),
            name_fields=("teamHomeID", "teamAwayID"),
            parent="grade",
        )

    def removal(self, row: Row, *, reason: str, at: datetime) -> Row:
        """The row of a game as a soft-deleted one; its relations stay."""
        fields = {"isDeleted": True, "deletedAt": moment(at), "deletionReason": text(reason)}
        return replace(row, fields=fields, links={}, must_exist=True, needed=frozenset({"isDeleted"}))

    def ladders(self, grade: Grade, ladders: Sequence[Ladder], team_names: Mapping[str, str | None]) -> Row:
        """All ladders of a grade as the one list that its row has room for."""
        rows = [
            {
                "position": row.position,
                "teamName": team_names.get(row.team_id),
                "teamID": short_code(row.team_id),
                **row.values,
                **({"ladder": ladder.pool_id or ladder.type} if len(ladders) > 1 else {}),
            }
            for ladder in sorted(ladders, key=lambda ladder: ladder.id)
            for row in ladder.rows
        ]
        return replace(self.grade(grade), fields={"ladder": rows}, links={}, must_exist=True)


def is_same(name: str, wanted: Any, stored: Any) -> bool:
    """Whether a column holds the value, in whichever of its forms."""
    if name in ("startDate", "endDate"):
        return wanted == stored or (read_day(wanted) == read_day(stored) is not None)
    if name in ("dayOne", "deletedAt"):
        return wanted == stored or (read_moment(wanted) == read_moment(stored) is not None)
    if isinstance(wanted, list | dict) and isinstance(stored, str):
        return bool(wanted == _from_text(stored))
    if name == "isDeleted":
        return bool(wanted) == bool(stored)
    if name in ("deletionReason", "round", "time", "ground") and not wanted:
        return not stored
    return bool(wanted == stored)


def _from_text(stored: str) -> Any:
    """What a JSON column holds where it is answered as its text."""
    try:
        return json.loads(stored)
    except ValueError:
        return None


def _day_one(game: Game) -> str | None:
    if not game.days:
        return None
    first = game.days[0]
    return moment(first.utc) if first.utc else f"{first.day.isoformat()}T00:00:00.000Z"


def _ground(game: Game) -> str | None:
    if not game.days:
        return None
    first = game.days[0]
    return " / ".join(name for name in (first.venue, first.ground) if name) or None


def _scores(game: Game) -> dict[str, Any] | None:
    innings = [
        {
            "teamID": short_code(played.team_id),
            "innings": played.number,
            "runs": played.runs,
            "wickets": played.outs,
            "overs": played.overs,
        }
        for played in game.innings
    ]
    points = {
        short_code(team_id): {"goals": score.goals, "behinds": score.behinds, "total": score.total}
        for team_id, score in game.points.items()
    }
    outcomes = {short_code(team_id): outcome for team_id, outcome in game.outcomes.items()}
    scores = {"innings": innings, "points": points, "outcomes": outcomes}
    return {name: value for name, value in scores.items() if value} or None
