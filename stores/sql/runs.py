"""The run records: asked for, carried out, listed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Engine, Row, Select, func, select, tuple_, update

from stores.sql.engine import reading, writing
from stores.sql.paging import Page, cut_page, read_cursor
from stores.sql.tables import runs
from stores.sql.upserts import chunked, insert_new, upsert
from sync.causes import Cause
from sync.errors import NotFound
from sync.report import Hold, Mode, RequestCounts, Run, RunState, Stage, StageReport

_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs; what is None does not matter."""

    state: RunState | None = None
    mode: Mode | None = None
    account_id: int | None = None
    organisation_id: str | None = None
    batch_id: str | None = None
    of_run_id: str | None = None
    requested_since: datetime | None = None
    requested_before: datetime | None = None


class Runs:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def request(self, run: Run) -> None:
        """Insert a queued run; repeatable, an existing one stays as it is."""
        self.request_many([run])

    def request_many(self, requested: Sequence[Run]) -> None:
        """As `request`, many in one transaction."""
        with writing(self._engine) as connection:
            insert_new(connection, runs, [run_row(run) for run in requested])

    def find(self, run_id: str) -> Run:
        """Raises NotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(select(runs).where(runs.c.id == run_id)).first()
        if row is None:
            raise NotFound(f"run {run_id or repr(run_id)} does not exist")
        return run_of(row)

    def save(self, run: Run) -> None:
        """Store the run as it is now."""
        with writing(self._engine) as connection:
            upsert(connection, runs, [run_row(run)])

    def list(self, wanted: RunFilter, *, limit: int, cursor: str | None = None) -> Page[Run]:
        """Newest first. Raises InvalidRequest for a foreign cursor."""
        query = _narrowed(select(runs), wanted).order_by(runs.c.requested_at.desc(), runs.c.id.desc())
        if cursor is not None:
            before = read_cursor(cursor, tuple[datetime, str])
            query = query.where(tuple_(runs.c.requested_at, runs.c.id) < before)
        with reading(self._engine) as connection:
            rows = connection.execute(query.limit(limit + 1)).all()
        return cut_page([run_of(row) for row in rows], limit, lambda run: (run.requested_at, run.id))

    def count(self, wanted: RunFilter, *, most: int) -> int:
        """How many there are, counted up to `most`."""
        some = _narrowed(select(runs.c.id), wanted).limit(most).subquery()
        with reading(self._engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(some)) or 0)

    def latest(self, account_id: int) -> Run | None:
        """The account's last requested run."""
        page = self.list(RunFilter(account_id=account_id), limit=1)
        return page.items[0] if page.items else None

    def latest_of(
        self, account_ids: Collection[int], *, each: int, state: RunState | None = None
    ) -> Mapping[int, Sequence[Run]]:
        """The last `each` requested runs of every account that has any, newest first; one query."""
        place = func.row_number().over(
            partition_by=runs.c.account_id, order_by=(runs.c.requested_at.desc(), runs.c.id.desc())
        )
        wanted = select(runs, place.label("place")).where(runs.c.account_id.in_(account_ids))
        if state is not None:
            wanted = wanted.where(runs.c.state == state.value)
        ranked = wanted.subquery()
        query = select(ranked).where(ranked.c.place <= each).order_by(ranked.c.account_id, ranked.c.place)
        found: dict[int, list[Run]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(query):
                found.setdefault(row.account_id, []).append(run_of(row))
        return found

    def find_act(self, of_run_id: str, preset: str) -> Run | None:
        """The latest run of this preset that was started by hand for the run."""
        query = select(runs).where(runs.c.of_run_id == of_run_id, runs.c.preset == preset)
        with reading(self._engine) as connection:
            row = connection.execute(query.order_by(runs.c.requested_at.desc()).limit(1)).first()
        return None if row is None else run_of(row)

    def account_ids(self, batch_id: str) -> Collection[int]:
        """The accounts that have a run in the batch."""
        query = select(runs.c.account_id).where(runs.c.batch_id == batch_id, runs.c.account_id.is_not(None))
        with reading(self._engine) as connection:
            return set(connection.scalars(query))

    def cancel(
        self, run_ids: Sequence[str], *, at: datetime, message: str, is_begun_too: bool = False
    ) -> int:
        """Settle those of the runs that wait, queued or deferred, as cancelled; how many.

        With `is_begun_too` those as well that stand as running, for whoever knows that nobody
        carries them out.
        """
        waiting = [RunState.QUEUED.value, RunState.DEFERRED.value]
        waiting += [RunState.RUNNING.value] if is_begun_too else []
        values = {"state": RunState.CANCELLED.value, "finished_at": at, "message": message}
        cancelled = 0
        with writing(self._engine) as connection:
            for chunk in chunked(run_ids):
                statement = update(runs).where(runs.c.id.in_(chunk), runs.c.state.in_(waiting)).values(values)
                cancelled += connection.execute(statement).rowcount
        return cancelled

    def open(self, state: RunState, before: datetime) -> Iterator[Sequence[Run]]:
        """Runs in a state that were asked for before a moment, in pages, the newest first."""
        cursor: str | None = None
        while True:
            page = self.list(RunFilter(state=state, requested_before=before), limit=_PAGE, cursor=cursor)
            if page.items:
                yield page.items
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def settle_as_failed(self, run_id: str, *, at: datetime, message: str) -> bool:
        """Settle a run unless it has ended meanwhile; whether it was."""
        still_open = [state.value for state in RunState if not state.is_final]
        values = {"state": RunState.FAILED.value, "finished_at": at, "message": message}
        statement = update(runs).where(runs.c.id == run_id, runs.c.state.in_(still_open)).values(values)
        with writing(self._engine) as connection:
            return connection.execute(statement).rowcount > 0

    def count_by_state(self, batch_id: str) -> Mapping[RunState, int]:
        """How a batch stands."""
        query = (
            select(runs.c.state, func.count().label("count"))
            .where(runs.c.batch_id == batch_id)
            .group_by(runs.c.state)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).mappings().all()
        return {RunState(row["state"]): row["count"] for row in rows}


def _narrowed(query: Select[Any], wanted: RunFilter) -> Select[Any]:
    equal = {
        runs.c.state: wanted.state and wanted.state.value,
        runs.c.mode: wanted.mode and wanted.mode.value,
        runs.c.account_id: wanted.account_id,
        runs.c.organisation_id: wanted.organisation_id,
        runs.c.batch_id: wanted.batch_id,
        runs.c.of_run_id: wanted.of_run_id,
    }
    for column, value in equal.items():
        if value is not None:
            query = query.where(column == value)
    if wanted.requested_before is not None:
        query = query.where(runs.c.requested_at < wanted.requested_before)
    if wanted.requested_since is not None:
        query = query.where(runs.c.requested_at >= wanted.requested_since)
    return query


def run_row(run: Run) -> dict[str, Any]:
    """The run as its table holds it."""
    return {
        "id": run.id,
        "mode": run.mode.value,
        "preset": run.preset,
        "state": run.state.value,
        "account_id": run.account_id,
        "organisation_id": run.organisation_id,
        "provider": run.provider,
        "batch_id": run.batch_id,
        "of_run_id": run.of_run_id,
        "dry_run": run.dry_run,
        "requested_at": run.requested_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "config_version": run.config_version,
        "stages": msgspec.to_builtins(run.stages),
        "requests": msgspec.to_builtins(run.requests),
        "holds": msgspec.to_builtins(run.holds) or None,
        "plan_hash": run.plan_hash,
        "message": run.message,
        "cause": run.cause.value if run.cause else None,
    }


def run_of(row: Row[Any]) -> Run:
    """The run that a row of the table holds."""
    return Run(
        id=row.id,
        mode=Mode(row.mode),
        preset=row.preset,
        state=RunState(row.state),
        account_id=row.account_id,
        organisation_id=row.organisation_id,
        provider=row.provider,
        batch_id=row.batch_id,
        of_run_id=row.of_run_id,
        dry_run=row.dry_run,
        requested_at=row.requested_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        config_version=row.config_version,
        stages=msgspec.convert(row.stages, dict[Stage, StageReport]),
        requests=msgspec.convert(row.requests, RequestCounts),
        holds=msgspec.convert(row.holds or (), tuple[Hold, ...]),
        plan_hash=row.plan_hash,
        message=row.message,
        cause=Cause(row.cause) if row.cause else None,
    )
