"""Which accounts are older than they may be: one question, whatever their number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from sqlalchemy import Engine, and_, case, exists, func, literal, select

from stores.sql.engine import reading
from stores.sql.tables import account_tags, accounts, runs
from sync.ports import Clock
from sync.report import RunState


class Target(Protocol):
    """How old accounts of some types and tags may be (`settings.schema.FreshnessTarget`)."""

    @property
    def target_s(self) -> float: ...

    @property
    def types(self) -> Collection[str]: ...

    @property
    def tags(self) -> Collection[str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StaleAccount:
    """An account beyond its target; `fresh_at` is when it was last synced, None: never."""

    account_id: int
    name: str
    kind: str
    fresh_at: datetime | None
    target_s: float


class Freshness:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def synced_at(self, presets: Collection[str]) -> Mapping[int, datetime]:
        """The end of the last run that stored something, by account; no entry for one without.

        A partial one counts: what it held back waits for a person, not for another run.
        """
        last = _last_sync(presets, RunState.SUCCEEDED, RunState.PARTIAL)
        with reading(self._engine) as connection:
            rows = connection.execute(select(accounts.c.id, last.label("synced_at"))).all()
        return {row.id: row.synced_at for row in rows if row.synced_at is not None}

    def stale(
        self, targets: Mapping[str, Target], *, presets: Collection[str], limit: int
    ) -> tuple[int, Sequence[StaleAccount]]:
        """How many accounts are beyond their target, and the oldest of them.

        The strictest class that matches an account counts; one that no class matches is
        never stale, and one that was never synced is as old as itself. `presets` are those
        that bring games. One query.
        """
        now = self._clock.now()
        ordered = sorted(targets.values(), key=lambda target: target.target_s)
        if not ordered:
            return 0, ()
        fresh_at = _last_sync(presets, RunState.SUCCEEDED)
        known_at = func.coalesce(fresh_at, accounts.c.created_at)
        bounds = [(_matches(target), now - timedelta(seconds=target.target_s)) for target in ordered]
        target_s = case(*((_matches(target), literal(target.target_s)) for target in ordered))
        is_stale = case(*((matches, known_at < bound) for matches, bound in bounds), else_=False)
        query = (
            select(
                accounts.c.id,
                accounts.c.name,
                accounts.c.kind,
                fresh_at.label("fresh_at"),
                target_s.label("target_s"),
                func.count().over().label("total"),
            )
            .where(is_stale)
            .order_by(known_at, accounts.c.id)
            .limit(limit)
        )
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        stale = [
            StaleAccount(
                account_id=row.id,
                name=row.name,
                kind=row.kind,
                fresh_at=row.fresh_at,
                target_s=row.target_s,
            )
            for row in rows
        ]
        return (rows[0].total if rows else 0), stale


def _last_sync(presets: Collection[str], *states: RunState) -> Any:
    return (
        select(runs.c.finished_at)
        .where(
            runs.c.account_id == accounts.c.id,
            runs.c.state.in_([state.value for state in states]),
            runs.c.dry_run.is_(False),
            runs.c.preset.in_(presets),
        )
        .order_by(runs.c.finished_at.desc())
        .limit(1)
        .correlate(accounts)
        .scalar_subquery()
    )


def _matches(target: Target) -> Any:
    conditions: list[Any] = []
    if target.types:
        conditions.append(accounts.c.kind.in_(target.types))
    if target.tags:
        conditions.append(
            exists().where(account_tags.c.account_id == accounts.c.id, account_tags.c.tag.in_(target.tags))
        )
    return and_(True, *conditions)
