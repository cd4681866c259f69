"""PlayHQ's ladders of a grade, version 2 (the administrator's columns) and version 1 (fixed)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import inf
from typing import Any

from providers.payload import (
    BrokenRecord,
    JsonObject,
    json_object,
    optional_identifier,
    part,
    parts,
    required_text,
    text,
    whole_number,
)
from sync.model import Ladder, LadderRow, RecordKind
from sync.ports import Listing, Quarantined

_NOT_COLUMNS = frozenset({"id", "name", "team", "teamId", "teamID", "teamName", "ranking", "pool", "logo"})


def parse_ladders(items: Iterable[Any], grade_id: str) -> Listing[Ladder]:
    """Ladders by type and pool; rows in the order sent, since no rank is."""
    return _read(items, lambda item: _ladder(item, grade_id))


def parse_old_ladders(items: Iterable[Any], grade_id: str) -> Listing[Ladder]:
    """Version 1 ladders; they have no type, and a rank when the provider gives one."""
    return _read(items, lambda item: _old_ladder(item, grade_id))


def parse_standing_names(items: Iterable[Any]) -> dict[str, str]:
    """Team names that standings carry."""
    return {
        team_id: name
        for item in items
        if isinstance(item, dict)
        for standing in parts(item, "standings")
        if (team_id := optional_identifier(part(standing, "team"), "id")) is not None
        and (name := text(part(standing, "team"), "name")) is not None
    }


def _read(items: Iterable[Any], parse: Callable[[JsonObject], Ladder]) -> Listing[Ladder]:
    ladders: dict[str, Ladder] = {}
    quarantined: list[Quarantined] = []
    for item in items:
        try:
            ladder = parse(json_object(item))
        except BrokenRecord as broken:
            quarantined.append(_quarantine(None, str(broken)))
            continue
        if ladder.id in ladders:
            quarantined.append(_quarantine(ladder.id, "a second ladder of the same type and pool"))
        else:
            ladders[ladder.id] = ladder
    return Listing(list(ladders.values()), quarantined)


def _quarantine(ladder_id: str | None, reason: str) -> Quarantined:
    return Quarantined(kind=RecordKind.LADDER, record_id=ladder_id, reason=reason)


def _ladder(item: JsonObject, grade_id: str) -> Ladder:
    keys = [required_text(header, "key") for header in parts(item, "headers")]
    return Ladder(
        grade_id=grade_id,
        type=text(item, "type"),
        pool_id=optional_identifier(part(item, "pool"), "id"),
        rows=tuple(
            LadderRow(
                position=position,
                team_id=_team_id(part(standing, "team")),
                values=_positional(keys, standing),
            )
            for position, standing in enumerate(_standings(item), start=1)
        ),
    )


def _positional(keys: list[str], standing: JsonObject) -> dict[str, int | float | str | None]:
    values = standing.get("values")
    if not values:
        return {}
    if not isinstance(values, list) or len(values) != len(keys):
        raise BrokenRecord("a standing's values do not match the ladder's headers")
    return {key: _value(value) for key, value in zip(keys, values, strict=True)}


def _old_ladder(item: JsonObject, grade_id: str) -> Ladder:
    return Ladder(
        grade_id=grade_id,
        pool_id=optional_identifier(part(item, "pool"), "id"),
        rows=tuple(
            LadderRow(
                position=position,
                team_id=_old_team_id(standing),
                values={
                    key: _value(value)
                    for key, value in standing.items()
                    if key not in _NOT_COLUMNS and not isinstance(value, dict | list)
                },
            )
            for position, standing in enumerate(_in_rank(_standings(item)), start=1)
        ),
    )


def _in_rank(standings: list[JsonObject]) -> list[JsonObject]:
    """By `ranking`; rows without one stay behind those with one, in the order sent."""

    def rank(standing: JsonObject) -> float:
        ranking = whole_number(standing.get("ranking"))
        return ranking if ranking is not None else inf

    return sorted(standings, key=rank)


def _old_team_id(standing: JsonObject) -> str:
    """Nested under `team` or beside the columns: the specification's example is malformed."""
    nested = optional_identifier(part(standing, "team"), "id")
    beside = (optional_identifier(standing, key) for key in ("teamId", "teamID", "id"))
    team_id = nested or next((found for found in beside if found), None)
    if team_id is None:
        raise BrokenRecord("a standing names no team")
    return team_id


def _standings(item: JsonObject) -> list[JsonObject]:
    standings = item.get("standings")
    if not isinstance(standings, list) or not all(isinstance(row, dict) for row in standings):
        raise BrokenRecord("`standings` is not a list of rows")
    return standings


def _team_id(team: JsonObject) -> str:
    team_id = optional_identifier(team, "id")
    if team_id is None:
        raise BrokenRecord("a standing names no team")
    return team_id


def _value(value: Any) -> int | float | str | None:
    return value if isinstance(value, int | float | str) and not isinstance(value, bool) else None
