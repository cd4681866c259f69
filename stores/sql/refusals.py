"""What a CMS refused for good when it was brought there: kept to be seen, and to be tried again."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Table,
    Tuple,
    delete,
    func,
    insert,
    literal,
    select,
    tuple_,
)

from stores.sql.engine import reading, writing
from stores.sql.records import RECORD_TYPES, from_document
from stores.sql.tables import outbox, outbox_runs, outbox_shares, refusals
from stores.sql.upserts import insert_new
from sync.changes import Action, Change
from sync.delivery.outbox import Refusal
from sync.model import RecordKind
from sync.ports import Clock
from sync.report import Stage

# A key has two columns, and SQLite takes 32,766 variables in one statement.
_KEYS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Refused:
    """How many changes are refused, and the one that was refused last."""

    count: int
    last: Refusal


class Refusals:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def of_run(self, run_id: str) -> Sequence[Refusal]:
        """What was refused of the run's changes and not overtaken since, parents first."""
        return self._list(select(refusals).where(refusals.c.run_id == run_id))

    def shared_by(self, run_id: str) -> Sequence[Refusal]:
        """What was refused of other runs' changes that this one waited for, each with this one's stage."""
        columns = [outbox_shares.c.stage if column.name == "stage" else column for column in refusals.c]
        return self._list(
            select(*columns).where(
                outbox_shares.c.run_id == run_id, refusals.c.run_id != run_id, shares(refusals)
            )
        )

    def look(self) -> Refused | None:
        """Of all runs; None while nothing is refused."""
        with reading(self._engine) as connection:
            row = connection.execute(
                select(refusals).order_by(refusals.c.refused_at.desc(), refusals.c.rank).limit(1)
            ).first()
            count = connection.scalar(select(func.count()).select_from(refusals)) or 0
        return None if row is None else Refused(count, _refusal(row))

    def retry(self, run_id: str) -> int:
        """Let what was refused of the changes that the run waited for wait again; answers how many."""
        now = literal(self._clock.now(), outbox.c.queued_at.type)
        shared = select(outbox_shares.c.run_id).where(outbox_shares.c.run_id == run_id, shares(refusals))
        is_its = (refusals.c.run_id == run_id) | shared.correlate(refusals).exists()
        with writing(self._engine) as connection:
            owners = connection.scalars(select(refusals.c.run_id).where(is_its))
            sharers = connection.scalars(select(outbox_shares.c.run_id).where(shares(refusals), is_its))
            # So that each of them comes to its verdict once they are delivered.
            concerned = [{"run_id": one} for one in {*owners, *sharers}]
            insert_new(connection, outbox_runs, concerned)
            return move(connection, refusals, outbox, is_its, queued_at=now)

    def _list(self, query: Select[Any]) -> Sequence[Refusal]:
        with reading(self._engine) as connection:
            rows = connection.execute(query.order_by(refusals.c.rank, refusals.c.record_id)).all()
        return [_refusal(row) for row in rows]


def shares(undelivered: Table) -> ColumnElement[bool]:
    """Whether a row of the outbox or of the refusals is of the record that is shared."""
    is_record: ColumnElement[bool] = (outbox_shares.c.kind == undelivered.c.kind) & (
        outbox_shares.c.record_id == undelivered.c.record_id
    )
    return is_record


def move(
    connection: Connection,
    source: Table,
    target: Table,
    which: ColumnElement[bool],
    **values: ColumnElement[Any],
) -> int:
    """Move rows from one table to the other, with these values; answers how many."""
    names = [column.name for column in target.c]
    columns = [values[name] if name in values else source.c[name] for name in names]
    connection.execute(insert(target).from_select(names, select(*columns).where(which)))
    return connection.execute(delete(source).where(which)).rowcount


def forget_refusals(connection: Connection, keys: Sequence[tuple[RecordKind, str]]) -> None:
    """Forget what was refused of these records, and who shared it and waits for nothing any more."""
    waits = select(outbox_runs.c.run_id)
    rest = iter(keys)
    while chunk := list(itertools.islice(rest, _KEYS_AT_ONCE)):
        asked = [(kind.value, record_id) for kind, record_id in chunk]
        connection.execute(delete(refusals).where(_key_of(refusals).in_(asked)))
        is_over = _key_of(outbox_shares).in_(asked) & outbox_shares.c.run_id.not_in(waits)
        connection.execute(delete(outbox_shares).where(is_over))


def _key_of(table: Table) -> Tuple:
    return tuple_(table.c.kind, table.c.record_id)


def change_of(row: Row[Any]) -> Change:
    """The change that a row of the outbox or of the refusals holds."""
    kind = RecordKind(row.kind)
    record_type = RECORD_TYPES[kind]
    return Change(
        kind=kind,
        record_id=row.record_id,
        action=Action(row.action),
        before=None if row.before is None else from_document(record_type, row.before),
        after=None if row.after is None else from_document(record_type, row.after),
        cause=row.cause,
    )


def _refusal(row: Row[Any]) -> Refusal:
    return Refusal(
        run_id=row.run_id,
        stage=Stage(row.stage),
        change=change_of(row),
        reason=row.reason,
        refused_at=row.refused_at,
    )
