"""How a batch went, in one message: what it did, why what failed, what took long, what needs a person."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from notifications.announcer import Publish
from notifications.blame import WHOSE, Tally
from notifications.delivery import Outbox
from notifications.notice import BATCH_FINISHED
from notifications.routing import ways
from settings.schema import RouteSettings
from sync.causes import Cause
from sync.incident import Severity
from sync.ports import Clock
from sync.report import Run, RunState

MOST_SLOW, MOST_BAD = 5, 15
# Runs put off are dead after an hour; what has not ended by then is told as unfinished.
GIVEN_UP_AFTER = timedelta(hours=12)


class Batch(Protocol):
    """`stores.redis.batches.Batch`."""

    @property
    def id(self) -> str: ...
    @property
    def entry_id(self) -> str | None: ...
    @property
    def starts_at(self) -> datetime: ...
    @property
    def spread_s(self) -> float: ...
    @property
    def total(self) -> int: ...
    @property
    def sent(self) -> int: ...
    @property
    def coalesced(self) -> int: ...
    @property
    def state(self) -> str: ...


class Named(Protocol):
    """`stores.sql.outcomes.Named`."""

    @property
    def run(self) -> Run: ...
    @property
    def name(self) -> str | None: ...


class Batches(Protocol):
    def list(self, limit: int) -> Sequence[Batch]:
        """Newest first."""
        ...


class Outcomes(Protocol):
    """`stores.sql.outcomes.Outcomes`."""

    def of_batch(self, batch_id: str) -> Sequence[Tally]: ...

    def slowest(self, batch_id: str, *, limit: int) -> Sequence[Named]: ...

    def bad(self, batch_id: str, *, limit: int) -> Sequence[Named]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """A batch and what became of it; counts are of runs."""

    batch: Batch
    tallies: Sequence[Tally]
    slowest: Sequence[Named]
    bad: Sequence[Named]

    def count(self, state: RunState) -> int:
        return sum(tally.run_count for tally in self.tallies if tally.state is state)

    @property
    def unfinished(self) -> int:
        ended = sum(tally.run_count for tally in self.tallies if tally.state.is_final)
        return max(self.batch.sent - self.batch.coalesced - ended, 0)


class Digests:
    """Tells of each batch once, when its last run has ended."""

    def __init__(
        self, batches: Batches, outcomes: Outcomes, notices: Outbox, publish: Publish, clock: Clock
    ) -> None:
        self._batches = batches
        self._outcomes = outcomes
        self._notices = notices
        self._publish = publish
        self._clock = clock
        self._told: set[str] = set()

    def tell_finished(
        self, routes: Mapping[str, RouteSettings], channels: Collection[str], *, digest_from: int
    ) -> None:
        """Note a digest of every batch that has ended since; repeatable, a batch is told once.

        Batches by hand of fewer than `digest_from` accounts have none: their runs are told.
        """
        now = self._clock.now()
        for batch in self._batches.list(limit=20):
            if batch.id in self._told or not batch.total or batch.state in ("asked", "sending"):
                continue
            if batch.entry_id is None and batch.total < digest_from:
                continue
            if now - batch.starts_at > 2 * GIVEN_UP_AFTER + timedelta(seconds=batch.spread_s):
                continue
            night = self._read(batch)
            is_late = now - batch.starts_at > GIVEN_UP_AFTER + timedelta(seconds=batch.spread_s)
            if night.unfinished and not is_late:
                continue
            self._tell(night, routes, channels, now)
            self._told.add(batch.id)

    def _read(self, batch: Batch) -> Night:
        return Night(
            batch=batch,
            tallies=self._outcomes.of_batch(batch.id),
            slowest=self._outcomes.slowest(batch.id, limit=MOST_SLOW),
            bad=self._outcomes.bad(batch.id, limit=MOST_BAD),
        )

    def _tell(
        self, night: Night, routes: Mapping[str, RouteSettings], channels: Collection[str], now: datetime
    ) -> None:
        severity = severity_of(night)
        for channel, way in ways(routes, event=BATCH_FINISHED, severity=severity, now=now).items():
            if channel not in channels:
                continue
            self._notices.add(
                key=f"batch:{night.batch.id}",
                channel=channel,
                event=BATCH_FINISHED,
                severity=severity,
                subject=subject_of(night),
                text=text_of(night),
                fields=fields_of(night),
                not_before=way.not_before,
            )
            if way.not_before is None:
                self._publish(event=BATCH_FINISHED, channel=channel, run_id=None, about=night.batch.id)


def severity_of(night: Night) -> Severity:
    """Good when all succeeded; an error when more failed than succeeded, or some never ended."""
    failed, partial = night.count(RunState.FAILED), night.count(RunState.PARTIAL)
    if night.unfinished or failed > night.count(RunState.SUCCEEDED):
        return Severity.ERROR
    return Severity.WARNING if failed or partial else Severity.INFO


def subject_of(night: Night) -> str:
    """One line."""
    name = f"Batch {night.batch.entry_id or night.batch.id}"
    counts = [
        f"{night.count(state):,} {state.value}"
        for state in (RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED, RunState.CANCELLED)
        if night.count(state) or state is RunState.SUCCEEDED
    ]
    if night.unfinished:
        counts.append(f"{night.unfinished:,} not finished")
    return (
        f"{name} of {night.batch.starts_at:%Y-%m-%d}: {', '.join(counts)} of {night.batch.total:,} accounts"
    )


def text_of(night: Night) -> str:
    """The whole digest."""
    lines = [subject_of(night)]
    if night.batch.coalesced:
        lines.append(f"{night.batch.coalesced:,} had a sync already and got none of their own.")
    if causes := _causes(night):
        lines += ["Why:", *causes]
    if night.bad:
        lines += ["What did not succeed:", *(f"• {_who(one)}: {one.run.message or '?'}" for one in night.bad)]
    if waiting := [one for one in night.bad if _is_held(one.run)]:
        lines.append("Waits for a person: " + ", ".join(f"run {one.run.id}" for one in waiting))
    if night.slowest:
        slowest = (f"{_who(one)} {one.run.duration_s or 0:.0f} s" for one in night.slowest)
        lines.append(f"Slowest: {', '.join(slowest)}")
    lines.append(f"All: clubsync runs list --batch {night.batch.id}")
    return "\n".join(lines)


def fields_of(night: Night) -> Mapping[str, Any]:
    """For programs."""
    return {
        "batch_id": night.batch.id,
        "entry_id": night.batch.entry_id,
        "total": night.batch.total,
        "coalesced": night.batch.coalesced,
        "unfinished": night.unfinished,
        "states": {state.value: night.count(state) for state in RunState if state.is_final},
        "causes": {
            str(tally.cause or "records"): tally.run_count for tally in night.tallies if _is_bad(tally)
        },
        "slowest": [{"run_id": one.run.id, "duration_s": one.run.duration_s} for one in night.slowest],
    }


def _causes(night: Night) -> list[str]:
    bad = sorted((t for t in night.tallies if _is_bad(t)), key=lambda t: -t.run_count)
    return [f"• {tally.run_count:,}: {_why(tally.cause)}" for tally in bad]


def _why(cause: Cause | None) -> str:
    if cause is None:
        return "some records or grades; the rest is stored"
    side = f" ({WHOSE[cause.party]})" if cause.party else ""
    return f"{cause.value.replace('_', ' ')}{side}"


def _is_bad(tally: Tally) -> bool:
    return tally.state in (RunState.PARTIAL, RunState.FAILED)


def _is_held(run: Run) -> bool:
    return run.plan_hash is not None and not run.dry_run


def _who(one: Named) -> str:
    return one.name or (
        f"account {one.run.account_id}" if one.run.account_id else str(one.run.organisation_id)
    )
