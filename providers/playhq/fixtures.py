"""PlayHQ's fixtures of a grade, version 2 (by round) and version 1 (flat), as games."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from providers.payload import (
    BrokenRecord,
    JsonObject,
    flag,
    identifier,
    moment,
    optional_identifier,
    part,
    parts,
    read_records,
    required_day,
    required_moment,
    required_text,
    text,
)
from providers.playhq.scores import parse_flat_points, parse_innings, parse_points
from providers.playhq.wire import GradeGames
from providers.zones import day_from_local, day_from_utc, find_zone
from sync.model import Game, GameDay, RecordKind
from sync.ports import Fixture, Quarantined

_NEVER = datetime.min.replace(tzinfo=UTC)
_BEFORE_PLAY = frozenset({"PENDING", "UPCOMING"})
_CRICKET_TYPES = frozenset({"t20", "oneday", "twoday"})


def parse_fixture(answer: GradeGames, grade_id: str, *, default_zone: str) -> Fixture:
    """Games of a version 2 fixture; byes are not games.

    A round without a list of games is quarantined without an id: who compares the fixture
    with what is stored can tell that games may be missing.
    """
    surfaces = {
        surface_id: _surface(surface, default_zone)
        for surface in answer.playing_surfaces or []
        if isinstance(surface, dict) and (surface_id := optional_identifier(surface, "id")) is not None
    }
    unknown = _surface({}, default_zone)
    quarantined: list[Quarantined] = []

    def parse(entry: JsonObject) -> Game:
        return Game(
            id=identifier(entry, "id"),
            grade_id=grade_id,
            round=entry["round"],
            status=required_text(entry, "status"),
            type=text(entry, "type"),
            days=_days(entry, surfaces, unknown),
            **_sides(parts(entry, "teams")),
            innings=parse_innings(entry),
            points=parse_points(entry),
            url=text(entry, "url"),
        )

    entries = _latest_first(_games_of_rounds(answer.rounds, quarantined))
    undecided_ids, decided = _split(entries, "teams")
    games = read_records(decided, RecordKind.GAME, parse, quarantined=quarantined)
    return Fixture(
        games=games,
        team_names=_names(answer.teams or []),
        quarantined=quarantined,
        undecided_ids=undecided_ids,
    )


def parse_flat_fixture(items: Iterable[Any], grade_id: str, *, default_zone: str) -> Fixture:
    """Games of a version 1 fixture, of sports other than cricket; its times are local."""
    quarantined: list[Quarantined] = []
    names: dict[str, str] = {}

    def parse(entry: JsonObject) -> Game:
        competitors = parts(entry, "competitors")
        names.update(_names(competitors))
        round_ = part(entry, "round")
        return Game(
            id=identifier(entry, "id"),
            grade_id=grade_id,
            round=text(round_, "name") or text(round_, "abbreviatedName"),
            status=required_text(entry, "status"),
            type=text(entry, "type"),
            days=_flat_days(entry, default_zone),
            **_sides(competitors),
            points=parse_flat_points(competitors),
            url=text(entry, "url"),
        )

    undecided_ids, decided = _split(_latest_first(items), "competitors")
    games = read_records(decided, RecordKind.GAME, parse, quarantined=quarantined)
    return Fixture(games=games, team_names=names, quarantined=quarantined, undecided_ids=undecided_ids)


def lacks_scores(fixture: Fixture) -> bool:
    """Whether games of a sport other than cricket ended, and none of them has a score.

    Cricket is never asked about: version 1 adds its innings together.
    """
    if any(_is_cricket(game) for game in fixture.games):
        return False
    ended = [game for game in fixture.games if game.status.upper() == "FINAL" and not _is_forfeit(game)]
    return bool(ended) and not any(game.points or game.innings for game in ended)


def add_scores(fixture: Fixture, flat: Fixture) -> Fixture:
    """The fixture with the points, and team names it lacks, of its flat form."""
    points = {game.id: game.points for game in flat.games}
    return replace(
        fixture,
        games=[replace(game, points=points.get(game.id) or game.points) for game in fixture.games],
        team_names={**flat.team_names, **fixture.team_names},
    )


def _games_of_rounds(rounds: Iterable[Any], quarantined: list[Quarantined]) -> Iterator[Any]:
    """Each game with the label of its own round; several games share one."""
    for round_ in rounds:
        games = round_.get("games") if isinstance(round_, dict) else None
        if not isinstance(games, list):
            quarantined.append(
                Quarantined(kind=RecordKind.GAME, record_id=None, reason="a round has no list of games")
            )
            continue
        label = text(round_, "name") or text(round_, "abbreviatedName")
        for game in games:
            yield {**game, "round": label} if isinstance(game, dict) else game


def _latest_first(entries: Iterable[Any]) -> list[Any]:
    """Games that appear twice keep their latest form; the order of the others stays."""
    found = list(entries)
    places: dict[str, int] = {}
    kept: list[Any] = []
    for entry in found:
        game_id = optional_identifier(entry, "id") if isinstance(entry, dict) else None
        if game_id is None or game_id not in places:
            if game_id is not None:
                places[game_id] = len(kept)
            kept.append(entry)
        elif _updated_at(entry) > _updated_at(kept[places[game_id]]):
            kept[places[game_id]] = entry
    return kept


def _updated_at(entry: JsonObject) -> datetime:
    return moment(entry.get("updatedAt")) or _NEVER


def _split(entries: list[Any], teams_key: str) -> tuple[list[str], list[Any]]:
    """Ids of games to be played by teams not known yet, and all other entries."""
    undecided_ids: list[str] = []
    decided: list[Any] = []
    for entry in entries:
        game_id = optional_identifier(entry, "id") if isinstance(entry, dict) else None
        if game_id is not None and _is_undecided(entry, teams_key):
            undecided_ids.append(game_id)
        else:
            decided.append(entry)
    return undecided_ids, decided


def _is_undecided(entry: JsonObject, teams_key: str) -> bool:
    if (text(entry, "status") or "").upper() not in _BEFORE_PLAY:
        return False
    known = [team for team in parts(entry, teams_key) if optional_identifier(team, "id") is not None]
    return len(known) < 2 and isinstance(entry.get(teams_key), list)


def _sides(teams: list[JsonObject]) -> dict[str, Any]:
    """Home, away and raw outcomes; without a home flag the order decides."""
    if len(teams) != 2:
        raise BrokenRecord(f"two teams were expected, not {len(teams)}")
    first, second = teams
    says_first, says_second = flag(first, "isHomeTeam"), flag(second, "isHomeTeam")
    is_second_home = says_second is not says_first and (says_second is True or says_first is False)
    home, away = (second, first) if is_second_home else (first, second)
    home_id, away_id = identifier(home, "id"), identifier(away, "id")
    if home_id == away_id:
        raise BrokenRecord("a team plays against itself")
    outcomes = {home_id: text(home, "outcome"), away_id: text(away, "outcome")}
    return {
        "home_id": home_id,
        "away_id": away_id,
        "outcomes": {team_id: outcome for team_id, outcome in outcomes.items() if outcome is not None},
    }


@dataclass(frozen=True, slots=True)
class _Surface:
    """Where a game is played, read once for all its games."""

    zone: ZoneInfo
    ground: str | None
    venue: str | None


def _surface(surface: JsonObject, default_zone: str) -> _Surface:
    venue = part(surface, "venue")
    zone = find_zone(text(venue, "timezone"), default=default_zone)
    return _Surface(zone, ground=text(surface, "name"), venue=text(venue, "name"))


def _days(entry: JsonObject, surfaces: Mapping[str, _Surface], unknown: _Surface) -> tuple[GameDay, ...]:
    """Playing days in order, each local to its ground; entries without a moment say nothing.

    Raises BrokenRecord for a moment that cannot be read.
    """
    days: dict[datetime, GameDay] = {}
    for slot in parts(entry, "schedule"):
        starts_at = required_moment(slot, "dateTime")
        if starts_at is None:
            continue
        surface = surfaces.get(optional_identifier(slot, "playingSurfaceId") or "", unknown)
        days.setdefault(
            starts_at, day_from_utc(starts_at, surface.zone, ground=surface.ground, venue=surface.venue)
        )
    return tuple(days[starts_at] for starts_at in sorted(days))


def _flat_days(entry: JsonObject, default_zone: str) -> tuple[GameDay, ...]:
    schedule, venue = part(entry, "schedule"), part(entry, "venue")
    day = required_day(schedule, "date", lambda said: date.fromisoformat(said[:10]))
    if day is None:
        return ()
    try:
        start = time.fromisoformat(text(schedule, "time") or "").replace(tzinfo=None)
    except ValueError:
        start = None
    zone = find_zone(text(schedule, "timezone"), default=default_zone)
    ground = text(venue, "surfaceName")
    return (day_from_local(day, start, zone, ground=ground, venue=text(venue, "name")),)


def _names(teams: Iterable[Any]) -> dict[str, str]:
    return {
        team_id: name
        for team in teams
        if isinstance(team, dict)
        and (team_id := optional_identifier(team, "id")) is not None
        and (name := text(team, "name")) is not None
    }


def _is_cricket(game: Game) -> bool:
    kind = "".join(letter for letter in (game.type or "").lower() if letter.isalnum())
    return kind in _CRICKET_TYPES


def _is_forfeit(game: Game) -> bool:
    return any("FORFEIT" in outcome.upper() for outcome in game.outcomes.values())
