"""The history: every change with its run, record, fields, before, after and cause."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine, Row, Select, distinct, func, select

from stores.sql.engine import reading, writing
from stores.sql.paging import Page, cut_page, read_cursor
from stores.sql.records import RECORD_TYPES, field_documents, from_document, to_document
from stores.sql.tables import changes, runs
from stores.sql.upserts import insert_new
from sync.changes import Action, Change, FieldChange
from sync.model import RecordKind
from sync.ports import Clock
from sync.report import Stage

_BATCH = 1000
# Provider ids may repeat from one kind of record to another.
_RECORD = changes.c.kind + ":" + changes.c.record_id


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeEntry:
    """A change as it was written; `is_applied` is False for the diff of a dry run."""

    id: int
    run_id: str
    account_id: int | None
    stage: Stage
    change: Change
    is_applied: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeFilter:
    """Which changes; what is None does not matter."""

    kind: RecordKind | None = None
    record_id: str | None = None
    action: Action | None = None
    stage: Stage | None = None
    is_applied: bool | None = None

    def narrow(self, query: Select[Any]) -> Select[Any]:
        wanted = {
            changes.c.kind: self.kind,
            changes.c.record_id: self.record_id,
            changes.c.action: self.action,
            changes.c.stage: self.stage,
        }
        for column, value in wanted.items():
            if value is not None:
                query = query.where(column == str(value))
        return query if self.is_applied is None else query.where(changes.c.is_applied.is_(self.is_applied))


ALL_CHANGES = ChangeFilter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """When changes were written; a dry run's are not applied."""

    at: datetime
    is_applied: bool


class Changes:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def record(self, run_id: str, stage: Stage, written: Sequence[Change], *, is_applied: bool) -> None:
        """Keep the changes, each once for its run; the diff of a dry run is not applied."""
        marks = Marks(at=self._clock.now(), is_applied=is_applied)
        with writing(self._engine) as connection:
            insert_changes(connection, run_id, stage, written, marks)

    def of_run(
        self, run_id: str, wanted: ChangeFilter = ALL_CHANGES, *, limit: int, cursor: str | None = None
    ) -> Page[ChangeEntry]:
        """In the order they were written. Raises InvalidRequest for a foreign cursor."""
        query = wanted.narrow(select(changes).where(changes.c.run_id == run_id)).order_by(changes.c.id)
        if cursor is not None:
            query = query.where(changes.c.id > _position(cursor))
        return self._page(query, limit)

    def applied_of_run(self, run_id: str) -> Iterator[Change]:
        """What the run wrote, oldest first; the diff of a dry run is not among it."""
        return (entry.change for entry in self._all_of_run(run_id) if entry.is_applied)

    def planned_of_run(self, run_id: str) -> Mapping[Stage, Sequence[Change]]:
        """What the run planned and did not write, as it planned it."""
        planned: dict[Stage, list[Change]] = defaultdict(list)
        for entry in self._all_of_run(run_id):
            if not entry.is_applied:
                planned[entry.stage].append(entry.change)
        return planned

    def written_since(self, at: datetime) -> Iterator[Change]:
        """What all runs have written since then, oldest first, read in pages."""
        position = self._first_since(at)
        while True:
            query = select(changes).where(changes.c.id >= position, changes.c.is_applied)
            with reading(self._engine) as connection:
                rows = connection.execute(query.order_by(changes.c.id).limit(_BATCH)).all()
            yield from (_entry(row).change for row in rows)
            if len(rows) < _BATCH:
                return
            position = rows[-1].id + 1

    def _first_since(self, at: datetime) -> int:
        """The place in the history where that time begins, found by halves: ids grow with time."""
        with reading(self._engine) as connection:
            low, high = 0, (connection.scalar(select(func.max(changes.c.id))) or 0) + 1
            while low < high:
                middle = (low + high) // 2
                query = select(changes.c.at).where(changes.c.id >= middle).order_by(changes.c.id).limit(1)
                found: datetime | None = connection.scalar(query)
                if found is None or found >= at:
                    high = middle
                else:
                    low = middle + 1
        return low

    def of_account(
        self, account_id: int, wanted: ChangeFilter = ALL_CHANGES, *, limit: int, cursor: str | None = None
    ) -> Page[ChangeEntry]:
        """What the account's runs wrote, newest first."""
        query = wanted.narrow(select(changes).where(changes.c.account_id == account_id))
        return self._newest(query, limit, cursor)

    def of_record(
        self, kind: RecordKind, record_id: str, *, limit: int, cursor: str | None = None
    ) -> Page[ChangeEntry]:
        """A record's history, newest first."""
        query = select(changes).where(changes.c.kind == kind.value, changes.c.record_id == record_id)
        return self._newest(query, limit, cursor)

    def count_written(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        """How many records the run has written, by stage and action; each counts once."""
        query = (
            select(changes.c.stage, changes.c.action, func.count(distinct(_RECORD)).label("count"))
            .where(changes.c.run_id == run_id, changes.c.is_applied)
            .group_by(changes.c.stage, changes.c.action)
        )
        counts: dict[Stage, dict[Action, int]] = defaultdict(dict)
        with reading(self._engine) as connection:
            for row in connection.execute(query).mappings():
                counts[Stage(row["stage"])][Action(row["action"])] = row["count"]
        return counts

    def _all_of_run(self, run_id: str) -> Iterator[ChangeEntry]:
        """Oldest first, read in pages."""
        cursor: str | None = None
        while True:
            page = self.of_run(run_id, limit=_BATCH, cursor=cursor)
            yield from page.items
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def _newest(self, query: Select[Any], limit: int, cursor: str | None) -> Page[ChangeEntry]:
        query = query.order_by(changes.c.id.desc())
        if cursor is not None:
            query = query.where(changes.c.id < _position(cursor))
        return self._page(query, limit)

    def _page(self, query: Select[Any], limit: int) -> Page[ChangeEntry]:
        with reading(self._engine) as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        return cut_page([_entry(row) for row in rows], limit, lambda entry: (entry.id,))


def insert_changes(
    connection: Connection, run_id: str, stage: Stage, written: Sequence[Change], marks: Marks
) -> None:
    """Keep the changes in the caller's transaction; those of the run that are there already stay."""
    account_id = connection.scalar(select(runs.c.account_id).where(runs.c.id == run_id))
    shared = {
        "run_id": run_id,
        "account_id": account_id,
        "stage": stage.value,
        "is_applied": marks.is_applied,
        "at": marks.at,
    }
    insert_new(connection, changes, [{**shared, **_columns(stage, change, marks)} for change in written])


def _columns(stage: Stage, change: Change, marks: Marks) -> dict[str, Any]:
    after = None if change.after is None else to_document(change.after)
    key = [stage.value, change.kind.value, change.record_id, change.action.value, after]
    if not marks.is_applied:
        # A run that is killed may write later what it had planned or held back before.
        key.append("planned")
    return {
        "kind": change.kind.value,
        "record_id": change.record_id,
        "action": change.action.value,
        "before": None if change.before is None else to_document(change.before),
        "after": after,
        "fields": field_documents(change.fields),
        "cause": change.cause,
        "digest": hashlib.blake2b(msgspec.json.encode(key), digest_size=16).hexdigest(),
    }


def _entry(row: Row[Any]) -> ChangeEntry:
    record_type = RECORD_TYPES[RecordKind(row.kind)]
    change = Change(
        kind=RecordKind(row.kind),
        record_id=row.record_id,
        action=Action(row.action),
        before=None if row.before is None else from_document(record_type, row.before),
        after=None if row.after is None else from_document(record_type, row.after),
        fields=tuple(FieldChange(**field) for field in row.fields),
        cause=row.cause,
    )
    return ChangeEntry(
        id=row.id,
        run_id=row.run_id,
        account_id=row.account_id,
        stage=Stage(row.stage),
        change=change,
        is_applied=row.is_applied,
        at=row.at,
    )


def _position(cursor: str) -> int:
    (position,) = read_cursor(cursor, tuple[int])
    return position
