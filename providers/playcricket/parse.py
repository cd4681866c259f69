"""Play-Cricket's competitions, teams, matches and tables as domain records.

Nearly everything is text: numbers, dates as dd/mm/yyyy, times as HH:MM of London.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from providers.payload import (
    BrokenRecord,
    JsonObject,
    identifier,
    json_object,
    number,
    optional_identifier,
    parts,
    read_records,
    required_day,
    text,
    whole_number,
)
from providers.playcricket.identities import Competition, team_record_id
from providers.zones import day_from_local
from sync.model import Game, GameDay, Grade, Innings, Ladder, LadderRow, RecordKind, Team
from sync.ports import Fixture, Listing, Quarantined

LONDON = ZoneInfo("Europe/London")
DELETED = "DELETED"
UPCOMING = "UPCOMING"
# In the words that other providers use; an unknown code passes through.
_STATUS_OF_RESULT = {
    "W": "FINAL",
    "L": "FINAL",
    "T": "FINAL",
    "D": "FINAL",
    "CON": "FINAL",
    "A": "ABANDONED",
    "C": "CANCELLED",
    "P": "LIVE",
    "M": "LIVE",
}
_UNDECIDED = frozenset({"P", "M"})


def parse_competitions(items: Iterable[Any], season_id: str) -> Listing[Grade]:
    """Divisions or cups as grades of a season."""

    def parse(item: JsonObject) -> Grade:
        return Grade(id=identifier(item, "id"), name=text(item, "name") or "", season_id=season_id)

    quarantined: list[Quarantined] = []
    grades = read_records(items, RecordKind.GRADE, parse, quarantined=quarantined)
    return Listing(grades, quarantined)


def parse_teams(items: Iterable[Any], competition: Competition, season_id: str) -> Listing[Team]:
    """The teams entered in a competition, named after their club and side."""
    teams: dict[str, Team] = {}
    quarantined: list[Quarantined] = []
    for item in items:
        try:
            entry = json_object(item)
            team_id = team_record_id(identifier(entry, "team_id"), competition)
        except BrokenRecord as broken:
            quarantined.append(Quarantined(kind=RecordKind.TEAM, record_id=None, reason=str(broken)))
            continue
        club_name = text(entry, "club_name")
        teams[team_id] = Team(
            id=team_id,
            name=_display_name(club_name, text(entry, "team_name")),
            season_id=season_id,
            club_id=optional_identifier(entry, "club_id"),
            club_name=club_name,
            grade_id=competition.id,
        )
    return Listing(list(teams.values()), quarantined)


def parse_fixture(matches: Iterable[Any], results: Iterable[Any], competition: Competition) -> Fixture:
    """Matches of a competition, with their results where there are any.

    A deleted match is marked as such, and is no game any more; one that is merely missing
    proves nothing.
    """
    # A result repeats its match, with more; so it comes first and wins.
    told = [*results, *matches]
    deleted_ids = _ids_where(told, _is_deleted)
    entries = _without(told, deleted_ids)
    undecided_ids = _ids_where(entries, _lacks_a_team)
    decided = _without(entries, undecided_ids)
    quarantined: list[Quarantined] = []
    games = read_records(
        decided, RecordKind.GAME, lambda entry: _game(entry, competition), quarantined=quarantined
    )
    return Fixture(
        games=games,
        team_names=_team_names(entries, competition),
        quarantined=quarantined,
        undecided_ids=sorted(undecided_ids),
        proves_absence=False,
        deleted_ids=sorted(deleted_ids),
    )


def _ids_where(entries: Iterable[Any], is_wanted: Callable[[JsonObject], bool]) -> set[str]:
    return {
        match_id
        for entry in entries
        if isinstance(entry, dict)
        and is_wanted(entry)
        and (match_id := optional_identifier(entry, "id")) is not None
    }


def _without(entries: Iterable[Any], match_ids: Collection[str]) -> list[Any]:
    """What is no entry at all stays, and is quarantined where it is read."""
    return [
        entry
        for entry in entries
        if not isinstance(entry, dict) or optional_identifier(entry, "id") not in match_ids
    ]


def _is_deleted(entry: JsonObject) -> bool:
    return (text(entry, "status") or "").upper() == DELETED


def _team_names(entries: Iterable[Any], competition: Competition) -> Mapping[str, str]:
    return {
        team_record_id(team_id, competition): name
        for entry in entries
        if isinstance(entry, dict)
        for side in ("home", "away")
        if (team_id := optional_identifier(entry, f"{side}_team_id")) is not None
        and (name := _display_name(text(entry, f"{side}_club_name"), text(entry, f"{side}_team_name")))
    }


def parse_tables(items: Iterable[Any], grade_id: str) -> Listing[Ladder]:
    """Tables of a division: columns go by their headings, the team's name is left out."""
    ladders: list[Ladder] = []
    quarantined: list[Quarantined] = []
    for item in items:
        try:
            ladders.append(_ladder(json_object(item), grade_id))
        except BrokenRecord as broken:
            quarantined.append(Quarantined(kind=RecordKind.LADDER, record_id=grade_id, reason=str(broken)))
    # A division has one table; a further one could not be told from it.
    return Listing(ladders[:1], quarantined)


def _game(entry: JsonObject, competition: Competition) -> Game:
    home_id = team_record_id(identifier(entry, "home_team_id"), competition)
    away_id = team_record_id(identifier(entry, "away_team_id"), competition)
    if home_id == away_id:
        raise BrokenRecord("a team plays against itself")
    return Game(
        id=identifier(entry, "id"),
        grade_id=competition.id,
        round=None,
        status=_status(entry),
        type=text(entry, "match_type"),
        home_id=home_id,
        away_id=away_id,
        days=_days(entry),
        outcomes=_outcomes(entry, home_id, away_id, competition),
        innings=_innings(entry, competition),
    )


def _status(entry: JsonObject) -> str:
    result = text(entry, "result")
    return _STATUS_OF_RESULT.get(result.upper(), result) if result is not None else UPCOMING


def _outcomes(entry: JsonObject, home_id: str, away_id: str, competition: Competition) -> dict[str, str]:
    """The raw code, for the team that it is about; for both when it is about none."""
    result = text(entry, "result")
    if result is None or result.upper() in _UNDECIDED:
        return {}
    about = optional_identifier(entry, "result_applied_to")
    if about is None:
        return {home_id: result, away_id: result}
    team_id = team_record_id(about, competition)
    return {team_id: result} if team_id in (home_id, away_id) else {}


def _innings(entry: JsonObject, competition: Competition) -> tuple[Innings, ...]:
    """The innings that were played, as sent; an empty or all-zero one was not."""
    played = []
    for place, innings in enumerate(parts(entry, "innings"), start=1):
        team_id = optional_identifier(innings, "team_batting_id")
        figures = [number(innings.get(key)) for key in ("runs", "wickets", "overs")]
        if team_id is None or not any(figures):
            continue
        sequence = whole_number(innings.get("innings_number"))
        played.append(
            Innings(
                team_id=team_record_id(team_id, competition),
                number=sequence if sequence is not None else place,
                runs=whole_number(innings.get("runs")),
                outs=whole_number(innings.get("wickets")),
                overs=figures[2],
            )
        )
    return tuple(played)


def _days(entry: JsonObject) -> tuple[GameDay, ...]:
    day = required_day(entry, "match_date", _day)
    if day is None:
        return ()
    start = _time(text(entry, "match_time"))
    return (day_from_local(day, start, LONDON, ground=text(entry, "ground_name"), venue=None),)


def _day(value: str) -> date:
    return datetime.strptime(value, "%d/%m/%Y").replace(tzinfo=LONDON).date()


def _time(value: str | None) -> time | None:
    try:
        return datetime.strptime(value or "", "%H:%M").replace(tzinfo=LONDON).time()
    except ValueError:
        return None


def _lacks_a_team(entry: JsonObject) -> bool:
    """A cup match whose sides are not drawn yet."""
    sides = [optional_identifier(entry, f"{side}_team_id") for side in ("home", "away")]
    return None in sides and text(entry, "result") is None


def _ladder(item: JsonObject, grade_id: str) -> Ladder:
    headings = item.get("headings")
    rows = item.get("values")
    if not isinstance(headings, dict) or not isinstance(rows, list):
        raise BrokenRecord("a table without `headings` or `values`")
    columns = {
        column: heading
        for column in headings
        if (heading := text(headings, column)) is not None and heading.lower() != "team"
    }
    return Ladder(
        grade_id=grade_id,
        rows=tuple(_row(json_object(row), place, columns) for place, row in enumerate(rows, start=1)),
    )


def _row(row: JsonObject, place: int, columns: dict[str, str]) -> LadderRow:
    position = whole_number(row.get("position"))
    return LadderRow(
        position=position if position is not None else place,
        team_id=identifier(row, "team_id"),
        values={heading: _figure(text(row, column)) for column, heading in columns.items()},
    )


def _figure(value: str | None) -> int | float | str | None:
    whole = whole_number(value)
    if whole is not None:
        return whole
    figure = number(value)
    return figure if figure is not None else value


def _display_name(club_name: str | None, team_name: str | None) -> str | None:
    return " ".join(name for name in (club_name, team_name) if name) or None
