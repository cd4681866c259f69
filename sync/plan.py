"""What is to be written: fetched records against stored ones, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from sync.changes import Action, Change, FieldChange
from sync.model import Game, Grade, Ladder, Record, RecordKind, Season, Team

R = TypeVar("R", Season, Grade, Team, Game, Ladder)

_KIND_OF: Mapping[type[Record], RecordKind] = {
    Season: RecordKind.SEASON,
    Grade: RecordKind.GRADE,
    Team: RecordKind.TEAM,
    Game: RecordKind.GAME,
    Ladder: RecordKind.LADDER,
}

# Providers leave these out at times; that says nothing about what was known before.
_KEPT_WHEN_MISSING: Mapping[type[Record], tuple[str, ...]] = {
    Season: (
        "name",
        "status",
        "competition_id",
        "competition_name",
        "association_name",
        "first_day",
        "last_day",
    ),
    Grade: ("name", "url", "first_day", "last_day"),
    Team: ("name",),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that make stored records equal to the fetched ones."""

    changes: tuple[Change, ...] = ()
    unchanged: int = 0

    def __add__(self, other: Plan) -> Plan:
        return Plan(self.changes + other.changes, self.unchanged + other.unchanged)


def plan_upserts(
    fetched: Iterable[R], stored: Mapping[str, R], removed: Mapping[str, R] | None = None
) -> Plan:
    """Plan creations, updates and, for a record found in `removed`, restorations.

    A record that was fetched twice counts once; the later one is taken.
    """
    unique = {record.id: record for record in fetched}
    changes = []
    for record in unique.values():
        if record.id in stored:
            change = _plan_update(stored[record.id], record)
        elif removed and record.id in removed:
            change = _plan_restoration(removed[record.id], record)
        else:
            change = _plan_creation(record)
        if change is not None:
            changes.append(change)
    return Plan(tuple(changes), len(unique) - len(changes))


def plan_removals(games: Iterable[Game], *, cause: str) -> Plan:
    """Plan to remove the games; the CMS keeps them as soft-deleted records."""
    return Plan(
        tuple(
            Change(
                kind=RecordKind.GAME,
                record_id=game.id,
                action=Action.REMOVED,
                before=game,
                after=None,
                cause=cause,
            )
            for game in games
        )
    )


def applied(stored: Mapping[str, R], plan: Plan) -> dict[str, R]:
    """The stored records as they are once the plan's upserts of their kind are written."""
    after: dict[str, Any] = {
        change.record_id: change.after for change in plan.changes if change.after is not None
    }
    return {**stored, **after}


def _plan_creation(record: Record) -> Change:
    return Change(
        kind=_KIND_OF[type(record)],
        record_id=record.id,
        action=Action.CREATED,
        before=None,
        after=record,
    )


def _plan_update(before: R, fetched: R) -> Change | None:
    after = _keep_known(before, fetched)
    differing = differing_fields(before, after)
    if not differing:
        return None
    return Change(
        kind=_KIND_OF[type(after)],
        record_id=after.id,
        action=Action.UPDATED,
        before=before,
        after=after,
        fields=differing,
    )


def _plan_restoration(before: R, fetched: R) -> Change:
    after = _keep_known(before, fetched)
    return Change(
        kind=_KIND_OF[type(after)],
        record_id=after.id,
        action=Action.RESTORED,
        before=before,
        after=after,
        fields=differing_fields(before, after),
    )


def _keep_known(before: R, fetched: R) -> R:
    known = {
        name: getattr(before, name)
        for name in _KEPT_WHEN_MISSING.get(type(fetched), ())
        if getattr(fetched, name) in (None, "")
    }
    return replace(fetched, **known) if known else fetched


def differing_fields(before: Record, after: Record) -> tuple[FieldChange, ...]:
    """What differs between two records of one kind; hints that are not stored do not count."""
    if before == after:
        # Nearly all records of nearly all syncs; field by field they would cost ten times as much.
        return ()
    return tuple(
        FieldChange(field.name, getattr(before, field.name), getattr(after, field.name))
        for field in fields(after)
        if field.compare
        and _comparable(getattr(before, field.name)) != _comparable(getattr(after, field.name))
    )


def _comparable(value: Any) -> Any:
    # A record that went through JSON and SQL comes back with lists for tuples and plain
    # dictionaries for mappings; neither is a difference.
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _comparable(getattr(value, field.name)) for field in fields(value) if field.compare
        }
    if isinstance(value, Mapping):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(item) for item in value]
    return value
