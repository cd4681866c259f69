"""Changes brought up to what is stored now: runs of several accounts share records.

A run plans against what it read. By the time it writes, another run may have created the
record, changed another field of it, or written the very same; only what is still different
is written and counted.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date
from typing import Any

from sqlalchemy import Connection, Table, func, select

from stores.sql.records import RECORD_TYPES, from_document
from stores.sql.tables import grades
from stores.sql.upserts import chunked
from sync.changes import Action, Change
from sync.model import Record, RecordKind, Season, parent_id_of
from sync.plan import differing_fields

_SEASON_DAYS = {"first_day", "last_day"}


def rebased(
    connection: Connection, changes: Sequence[Change], tables: Mapping[RecordKind, Table]
) -> Sequence[Change]:
    """The changes that are still to be written, against the rows as they are in this transaction.

    Locks those rows until it ends. Restorations stay as they are; a game that is removed
    already is not removed again.
    """
    current = _read_rows(connection, changes, tables)
    kept = []
    for change in changes:
        row = current.get((change.kind, change.record_id))
        if row is None or change.action is Action.RESTORED:
            kept.append(change)
        elif change.action is Action.REMOVED:
            if row.get("removed_at") is None:
                kept.append(change)
        elif (still := _against(connection, change, row)) is not None:
            kept.append(still)
    return kept


def _against(connection: Connection, change: Change, row: Mapping[str, Any]) -> Change | None:
    now = from_document(RECORD_TYPES[change.kind], row)
    if _has_come_first(now, change):
        return None
    target = replace(now, **_wanted_values(change))
    if isinstance(target, Season) and isinstance(change.after, Season):
        target = replace(target, provider=target.provider or change.after.provider)
        if change.action is Action.UPDATED:
            target = _with_days_of_grades(connection, change, target)
    if row.get("removed_at") is not None:
        return replace(
            change, action=Action.RESTORED, before=now, after=target, fields=differing_fields(now, target)
        )
    differing = differing_fields(now, target)
    if not differing:
        return None
    return replace(change, action=Action.UPDATED, before=now, after=target, fields=differing)


def _has_come_first(now: Record, change: Change) -> bool:
    """Whether another run has put the record, since this one looked, where it comes before here.

    A record that several listings name belongs to the first of them: `sync.belonging`.
    """
    before, after = change.before, change.after
    if after is None or (before is not None and parent_id_of(before) in map(parent_id_of, (now, after))):
        return False
    return parent_id_of(now) < parent_id_of(after)


def _wanted_values(change: Change) -> dict[str, Any]:
    """What the change itself sets: of an update its fields, of a creation all that it knows."""
    after = change.after
    if after is None:
        return {}
    if change.action is Action.UPDATED:
        return {field.name: field.after for field in change.fields}
    known = {field.name: getattr(after, field.name) for field in fields(after) if field.compare}
    return {name: value for name, value in known.items() if value is not None}


def _with_days_of_grades(connection: Connection, change: Change, season: Season) -> Season:
    # A run that read the grades before another run stored its own would shorten the season.
    if _SEASON_DAYS.isdisjoint(field.name for field in change.fields):
        return season
    days = connection.execute(
        select(func.min(grades.c.first_day), func.max(grades.c.last_day)).where(
            grades.c.season_id == season.id
        )
    ).one()
    first, last = (date.fromisoformat(day) if day else None for day in days)
    return replace(season, first_day=first or season.first_day, last_day=last or season.last_day)


def _read_rows(
    connection: Connection, changes: Sequence[Change], tables: Mapping[RecordKind, Table]
) -> dict[tuple[RecordKind, str], Mapping[str, Any]]:
    ids: dict[RecordKind, set[str]] = defaultdict(set)
    for change in changes:
        ids[change.kind].add(change.record_id)
    return {
        (kind, row["id"]): row
        for kind, table in tables.items()
        for chunk in chunked(sorted(ids[kind]))
        for row in _locked(connection, table, chunk)
    }


def _locked(connection: Connection, table: Table, ids: Sequence[str]) -> Iterator[dict[str, Any]]:
    # In the order of tables and keys, as upserts go, so that concurrent writers do not deadlock.
    names = [str(column.name) for column in table.c]
    query = select(table).where(table.c.id.in_(ids)).order_by(table.c.id).with_for_update()
    for row in connection.execute(query):
        yield dict(zip(names, row, strict=True))
