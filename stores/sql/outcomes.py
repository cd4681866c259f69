"""How runs ended: over the last minutes, as evidence, and over a batch, as its digest."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Engine, Select, exists, extract, func, or_, select

from stores.sql.engine import reading
from stores.sql.runs import run_of
from stores.sql.tables import accounts, decisions, runs
from sync.causes import Cause
from sync.report import Run, RunState

_ENDED = [state.value for state in RunState if state.is_final]
_BAD = (RunState.PARTIAL.value, RunState.FAILED.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Runs that ended alike, or that are put off for the same cause; `account_count` of them differ."""

    provider: str | None
    state: RunState
    cause: Cause | None
    run_count: int
    account_count: int
    example: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """A run with its account's name, where that is known here."""

    run: Run
    name: str | None


class Outcomes:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def since(self, moment: datetime) -> Sequence[Tally]:
        """Runs that ended since then, and those that are put off now; dry runs do not count.

        `example` is the message of one of them.
        """
        wanted = or_(
            runs.c.finished_at >= moment,
            # A run is put off for an hour at most; a day bounds what the index must walk.
            (runs.c.state == RunState.DEFERRED.value) & (runs.c.requested_at >= moment - timedelta(days=1)),
        )
        return self._tallies(wanted & runs.c.dry_run.is_(False))

    def of_batch(self, batch_id: str) -> Sequence[Tally]:
        return self._tallies(runs.c.batch_id == batch_id)

    def count_alike(self, provider: str | None, cause: Cause, *, since: datetime) -> int:
        """How many runs that cause ended since then."""
        query = select(func.count()).where(
            runs.c.finished_at >= since, runs.c.cause == cause.value, runs.c.provider == provider
        )
        with reading(self._engine) as connection:
            return int(connection.scalar(query) or 0)

    def slowest(self, batch_id: str, *, limit: int) -> Sequence[Named]:
        """Those of the batch that took longest."""
        return self._named(
            select(runs, accounts.c.name)
            .where(runs.c.batch_id == batch_id, runs.c.state.in_(_ENDED), runs.c.started_at.is_not(None))
            .order_by(
                (extract("epoch", runs.c.finished_at) - extract("epoch", runs.c.started_at)).desc(), runs.c.id
            )
            .limit(limit)
        )

    def bad(self, batch_id: str, *, limit: int) -> Sequence[Named]:
        """Those of the batch that did not succeed."""
        return self._named(
            select(runs, accounts.c.name)
            .where(runs.c.batch_id == batch_id, runs.c.state.in_(_BAD))
            .order_by(runs.c.state, runs.c.requested_at, runs.c.id)
            .limit(limit)
        )

    def running(self, *, limit: int) -> Sequence[Named]:
        """Those at work, the longest first."""
        return self._named(
            select(runs, accounts.c.name)
            .where(runs.c.state == RunState.RUNNING.value)
            .order_by(runs.c.requested_at, runs.c.id)
            .limit(limit)
        )

    def usual_s(self, account_id: int, *, of_last: int) -> float | None:
        """The longest of the account's last runs that ended well; None without any."""
        query = (
            select(runs.c.started_at, runs.c.finished_at)
            .where(runs.c.account_id == account_id, runs.c.state == RunState.SUCCEEDED.value)
            .order_by(runs.c.finished_at.desc())
            .limit(of_last)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        durations = [(row.finished_at - row.started_at).total_seconds() for row in rows if row.started_at]
        return max(durations, default=None)

    def succeeded_count(self, *, since: datetime, most: int) -> int:
        """Syncs that were asked for since then and succeeded; counted up to `most`."""
        some = (
            select(runs.c.id)
            .where(runs.c.state == RunState.SUCCEEDED.value, runs.c.requested_at >= since)
            .limit(most)
            .subquery()
        )
        with reading(self._engine) as connection:
            return int(connection.scalar(select(func.count()).select_from(some)) or 0)

    def not_made_good(
        self, state: RunState, *, since: datetime, limit: int, causes: Collection[Cause] = ()
    ) -> Sequence[Run]:
        """Runs in that state that were asked for since then, and that no later success made good.

        With `causes` only those that one of them ended.
        """
        later = runs.alias()
        success = (later.c.state == RunState.SUCCEEDED.value) & later.c.dry_run.is_(False)
        # One question each: joined by an "or" neither would be asked by its index.
        of_account = exists().where(
            later.c.account_id == runs.c.account_id, later.c.finished_at > runs.c.requested_at, success
        )
        of_organisation = exists().where(
            runs.c.account_id.is_(None),
            later.c.organisation_id == runs.c.organisation_id,
            later.c.requested_at > runs.c.requested_at,
            success,
        )
        query = select(runs).where(
            runs.c.state == state.value, runs.c.requested_at >= since, ~of_account, ~of_organisation
        )
        if causes:
            query = query.where(runs.c.cause.in_(cause.value for cause in causes))
        return self._newest(query, limit)

    def held(self, *, since: datetime, limit: int) -> Sequence[Run]:
        """Syncs since then of which a guard held something back: undecided, and their account's last."""
        later = runs.alias()
        is_decided = exists().where(decisions.c.run_id == runs.c.id)
        is_overtaken = exists().where(
            later.c.account_id == runs.c.account_id,
            later.c.requested_at > runs.c.requested_at,
            later.c.state.in_(_ENDED),
            later.c.dry_run.is_(False),
            later.c.of_run_id.is_(None),
        )
        query = select(runs).where(
            runs.c.state == RunState.PARTIAL.value,
            runs.c.requested_at >= since,
            runs.c.plan_hash.is_not(None),
            runs.c.dry_run.is_(False),
            ~is_decided,
            ~is_overtaken,
        )
        return self._newest(query, limit)

    def _newest(self, query: Select[Any], limit: int) -> Sequence[Run]:
        ordered = query.order_by(runs.c.requested_at.desc(), runs.c.id.desc()).limit(limit)
        with reading(self._engine) as connection:
            return [run_of(row) for row in connection.execute(ordered)]

    def _tallies(self, wanted: Any) -> Sequence[Tally]:
        columns = (runs.c.provider, runs.c.state, runs.c.cause)
        query = (
            select(
                *columns,
                func.count().label("run_count"),
                func.count(runs.c.account_id.distinct()).label("account_count"),
                func.max(runs.c.message).label("example"),
            )
            .where(wanted)
            .group_by(*columns)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        return [
            Tally(
                provider=row.provider,
                state=RunState(row.state),
                cause=Cause(row.cause) if row.cause else None,
                run_count=row.run_count,
                account_count=row.account_count,
                example=row.example,
            )
            for row in rows
        ]

    def _named(self, query: Any) -> Sequence[Named]:
        joined = query.select_from(runs.outerjoin(accounts, accounts.c.id == runs.c.account_id))
        with reading(self._engine) as connection:
            return [Named(run=run_of(row), name=row.name) for row in connection.execute(joined)]
