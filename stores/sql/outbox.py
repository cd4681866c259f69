"""The outbox in SQL: what waits for a CMS that is away, and what it refused then; one row a record."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, case, delete, func, literal, select

from stores.sql.engine import reading, writing
from stores.sql.fences import check_fence
from stores.sql.records import to_document
from stores.sql.refusals import Refusals, change_of, forget_refusals, move, shares
from stores.sql.tables import outbox, outbox_runs, outbox_shares, refusals
from stores.sql.upserts import chunked, conflicting_insert, insert_new
from sync.changes import Change
from sync.delivery.outbox import Refusal, Waiting
from sync.errors import CmsUnavailable
from sync.model import RecordKind, parent_id_of
from sync.ports import Clock, Fence
from sync.report import Stage

_RANKS = list(RecordKind)


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits, and for how long already."""

    count: int
    oldest_s: float


class SqlOutbox:
    """Satisfies `sync.delivery.outbox.Outbox`; a newer change keeps its predecessor's place in the line."""

    def __init__(self, engine: Engine, clock: Clock, *, max_records: int) -> None:
        self._engine = engine
        self._clock = clock
        self._max_records = max_records

    def is_empty(self) -> bool:
        with reading(self._engine) as connection:
            return connection.execute(select(outbox.c.record_id).limit(1)).first() is None

    def backlog(self) -> Backlog:
        query = select(func.count(), func.min(outbox.c.queued_at)).select_from(outbox)
        with reading(self._engine) as connection:
            count, oldest_at = connection.execute(query).one()
        waited_s = (self._clock.now() - oldest_at).total_seconds() if oldest_at else 0.0
        return Backlog(count, max(0.0, waited_s))

    def put(self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence) -> None:
        """Let the changes wait. Raises LeaseLost, and CmsUnavailable when there is no room for more."""
        ticket, now = uuid.uuid4().hex, self._clock.now()
        shared = {"ticket": ticket, "run_id": run_id, "stage": stage.value, "queued_at": now}
        # Of one record the last change counts.
        rows = {(change.kind, change.record_id): {**_columns(change), **shared} for change in changes}
        if not rows:
            return
        statement = conflicting_insert(self._engine.dialect.name, outbox)
        replaced = {column.name for column in outbox.c} - {"kind", "record_id", "queued_at", "stage"}
        statement = statement.on_conflict_do_update(
            index_elements=[outbox.c.kind, outbox.c.record_id],
            set_={
                **{name: statement.excluded[name] for name in replaced},
                # Within a run the stage that first wrote the record counts it.
                "stage": case(
                    (outbox.c.run_id == statement.excluded.run_id, outbox.c.stage),
                    else_=statement.excluded.stage,
                ),
            },
        )
        with writing(self._engine) as connection:
            check_fence(connection, fence)
            _share_replaced(connection, run_id, rows)
            connection.execute(statement, [rows[key] for key in sorted(rows)])
            forget_refusals(connection, list(rows))
            insert_new(connection, outbox_runs, [{"run_id": run_id}])
            count = connection.scalar(select(func.count()).select_from(outbox)) or 0
            if count > self._max_records:
                # Rolled back: the run is sent again later.
                raise CmsUnavailable(
                    f"the CMS is away, and {self._max_records} changes wait for it already:"
                    " cms.outbox_max_records"
                )

    def share(self, run_id: str, waiting: Collection[Waiting]) -> None:
        rows = [
            {
                "run_id": run_id,
                "kind": one.change.kind.value,
                "record_id": one.change.record_id,
                "stage": one.stage.value,
            }
            for one in waiting
        ]
        if rows:
            with writing(self._engine) as connection:
                insert_new(connection, outbox_shares, rows)
                insert_new(connection, outbox_runs, [{"run_id": run_id}])

    def read(
        self, kind: RecordKind, record_ids: Collection[str], *, parent_ids: Collection[str] = ()
    ) -> Mapping[str, Waiting]:
        found: dict[str, Waiting] = {}
        with reading(self._engine) as connection:
            for column, values in ((outbox.c.record_id, record_ids), (outbox.c.parent_id, parent_ids)):
                for chunk in chunked(values):
                    query = select(outbox).where(outbox.c.kind == kind.value, column.in_(chunk))
                    found.update({row.record_id: _waiting(row) for row in connection.execute(query)})
        return found

    def first(self, limit: int) -> Sequence[Waiting]:
        query = select(outbox).order_by(outbox.c.rank, outbox.c.queued_at, outbox.c.record_id).limit(limit)
        with reading(self._engine) as connection:
            return [_waiting(row) for row in connection.execute(query)]

    def remove(self, delivered: Sequence[Waiting]) -> None:
        """Forget them, but those that a newer change has replaced meanwhile."""
        with writing(self._engine) as connection:
            for one in delivered:
                connection.execute(delete(outbox).where(_is(one)))

    def refuse(self, refused: Sequence[tuple[Waiting, str]]) -> None:
        """Take them out of the line and keep them with the reason, but those that were replaced meanwhile."""
        now = self._clock.now()
        with writing(self._engine) as connection:
            for one, reason in refused:
                move(
                    connection,
                    outbox,
                    refusals,
                    _is(one),
                    reason=literal(reason),
                    refused_at=literal(now, refusals.c.refused_at.type),
                )

    def overtake(self, written: Sequence[Change]) -> None:
        """Forget what was refused of these records: something newer has been written of them."""
        with reading(self._engine) as connection:
            # There is hardly ever anything to forget, and a read holds up no writer.
            if connection.execute(select(refusals.c.record_id).limit(1)).first() is None:
                return
        with writing(self._engine) as connection:
            forget_refusals(connection, [(change.kind, change.record_id) for change in written])

    def refusals(self, run_id: str) -> Sequence[Refusal]:
        kept = Refusals(self._engine, self._clock)
        return [*kept.of_run(run_id), *kept.shared_by(run_id)]

    def count_waiting(self, run_id: str) -> Mapping[Stage, int]:
        own = select(outbox.c.stage).where(outbox.c.run_id == run_id)
        shared = select(outbox_shares.c.stage).where(outbox_shares.c.run_id == run_id, shares(outbox))
        with reading(self._engine) as connection:
            return Counter(Stage(stage) for query in (own, shared) for stage in connection.scalars(query))

    def runs(self) -> Collection[str]:
        with reading(self._engine) as connection:
            return list(connection.scalars(select(outbox_runs.c.run_id)))

    def forget_run(self, run_id: str) -> None:
        """What was refused stays shared: whoever has it tried again, all are judged anew."""
        is_refused = select(refusals.c.record_id).where(shares(refusals)).correlate(outbox_shares).exists()
        with writing(self._engine) as connection:
            connection.execute(delete(outbox_runs).where(outbox_runs.c.run_id == run_id))
            connection.execute(delete(outbox_shares).where(outbox_shares.c.run_id == run_id, ~is_refused))


def _share_replaced(connection: Connection, run_id: str, keys: Collection[tuple[RecordKind, str]]) -> None:
    """Those who let the records wait that are to be replaced go on waiting for them."""
    for kind in RecordKind:
        for chunk in chunked([record_id for of_kind, record_id in keys if of_kind is kind]):
            is_replaced = (
                (outbox.c.kind == kind.value) & outbox.c.record_id.in_(chunk) & (outbox.c.run_id != run_id)
            )
            query = select(outbox.c.run_id, outbox.c.kind, outbox.c.record_id, outbox.c.stage)
            replaced = connection.execute(query.where(is_replaced)).mappings().all()
            insert_new(connection, outbox_shares, [dict(row) for row in replaced])


def _columns(change: Change) -> dict[str, Any]:
    record = change.after or change.before
    return {
        "kind": change.kind.value,
        "record_id": change.record_id,
        "rank": _RANKS.index(change.kind),
        "parent_id": None if record is None else parent_id_of(record),
        "action": change.action.value,
        "before": None if change.before is None else to_document(change.before),
        "after": None if change.after is None else to_document(change.after),
        "cause": change.cause,
    }


def _is(waiting: Waiting) -> ColumnElement[bool]:
    change = waiting.change
    return (
        (outbox.c.kind == change.kind.value)
        & (outbox.c.record_id == change.record_id)
        & (outbox.c.ticket == waiting.ticket)
    )


def _waiting(row: Row[Any]) -> Waiting:
    return Waiting(ticket=row.ticket, run_id=row.run_id, stage=Stage(row.stage), change=change_of(row))
