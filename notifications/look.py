"""One look at the system: what the judgement of problems is made of."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from notifications.blame import Tally, failing
from notifications.digests import Named
from notifications.problems import Facts, QueueFacts, RunningFacts
from notifications.queue_state import LOW, QueueState
from notifications.switches import Off, still_off
from settings.canary import Ending
from settings.schema import AlertsSettings, Settings
from sync.delivery.outbox import Refusal
from sync.ports import Clock
from sync.report import Run

# Rates of the last minutes compare with those of the rest of the hour, which Redis keeps.
KEPT_MINUTES = 60
HISTORY_RUNS = 6
MOST_RUNNING = 200
MOST_STALE = 5


class WorkerState(Protocol):
    @property
    def is_quiet(self) -> bool: ...
    @property
    def is_stopping(self) -> bool: ...
    @property
    def lease_left_s(self) -> float: ...


class Operations(Protocol):
    """`brokers.operations.Operations`."""

    def queues(self) -> Sequence[QueueState]: ...

    def minutes(self, name: str, number: int) -> Sequence[Mapping[str, int]]: ...

    def workers(self) -> Sequence[WorkerState]: ...


class Outcomes(Protocol):
    """`stores.sql.outcomes.Outcomes`."""

    def since(self, moment: datetime) -> Sequence[Tally]: ...

    def running(self, *, limit: int) -> Sequence[Named]: ...

    def usual_s(self, account_id: int, *, of_last: int) -> float | None: ...


class StaleAccount(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def fresh_at(self) -> datetime | None: ...


class Freshness(Protocol):
    """`stores.sql.freshness.Freshness`."""

    def stale(
        self, targets: Mapping[str, Any], *, presets: Collection[str], limit: int
    ) -> tuple[int, Sequence[StaleAccount]]: ...


class Notices(Protocol):
    def refused_since(self, since: datetime) -> Mapping[str, str]: ...

    def overdue_channels(self, *, before: datetime) -> Mapping[str, int]: ...


class Refused(Protocol):
    """`stores.sql.refusals.Refused`."""

    @property
    def count(self) -> int: ...
    @property
    def last(self) -> Refusal: ...


class Refusals(Protocol):
    def look(self) -> Refused | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`breaker_open_s` asks for a host, `troubled_entries` what is wrong with entries of the
    schedule; `hosts_of` says which host is which provider's, `canary_endings` how each version
    of the settings fared that was ever on trial, by its number, `switched_off` which channels
    are to be told nothing.
    """

    operations: Operations
    outcomes: Outcomes
    freshness: Freshness
    notices: Notices
    refusals: Refusals
    breaker_open_s: Callable[[str], float]
    find_leader: Callable[[], object | None]
    troubled_entries: Callable[[], Mapping[str, str]]
    hosts_of: Callable[[Settings], Mapping[str, str]]
    canary_endings: Callable[[], Mapping[int, Ending]]
    switched_off: Callable[[], Mapping[str, Off]]
    clock: Clock

    def __call__(self, settings: Settings) -> Facts:
        """See everything once. Raises StoreUnavailable."""
        rules, now = settings.alerts, self.clock.now()
        since = now - timedelta(seconds=rules.window_s)
        bringing_games = [name for name, preset in settings.presets.items() if preset.games]
        stale_count, stalest = self.freshness.stale(
            settings.freshness, presets=bringing_games, limit=MOST_STALE
        )
        hosts = self.hosts_of(settings)
        workers = self.operations.workers()
        refused = self.refusals.look()
        return Facts(
            queues=[self._queue(state, rules) for state in self.operations.queues()],
            failing=failing(self.outcomes.since(since)),
            running=list(self._running(now)),
            open_breakers=[name for name, host in hosts.items() if self.breaker_open_s(host) > 0],
            taking_workers=sum(_takes(worker) for worker in workers),
            has_leader=self.find_leader() is not None,
            troubled_entries={
                name: trouble
                for name, trouble in self.troubled_entries().items()
                if name in settings.scheduler.entries
            },
            stale_count=stale_count,
            stalest=[_described(account, now) for account in stalest],
            refusing=self.notices.refused_since(since),
            switched_off={
                name: off.reason
                for name, off in still_off(self.switched_off(), settings.notifications).items()
            },
            waiting_notices=self.notices.overdue_channels(before=now - timedelta(seconds=2 * rules.every_s)),
            canaries=[ending for ending in self.canary_endings().values() if ending.at >= since],
            refused_changes=refused.count if refused else 0,
            refused_last=_told(refused.last) if refused else "",
        )

    def _queue(self, state: QueueState, rules: AlertsSettings) -> QueueFacts:
        minutes = self.operations.minutes(state.name, KEPT_MINUTES)[:-1]
        window = round(rules.window_s / 60)
        recent, earlier = minutes[-window:], minutes[:-window]
        done = sum(minute.get("done", 0) for minute in recent)
        earlier_done = sum(minute.get("done", 0) for minute in earlier)
        return QueueFacts(
            name=state.name,
            is_paused=state.is_paused,
            waiting=state.depth,
            pressing=sum(count for priority, count in state.waiting.items() if priority != LOW),
            leased=state.leased,
            oldest_age_s=state.oldest_age_s or 0.0,
            done=done,
            died=sum(minute.get("died", 0) for minute in recent),
            rate=done / max(len(recent), 1),
            usual_rate=earlier_done / max(len(earlier), 1),
            is_balanced=state.ledger.is_balanced,
        )

    def _running(self, now: datetime) -> Iterator[RunningFacts]:
        for named in self.outcomes.running(limit=MOST_RUNNING):
            run = named.run
            began_at = run.started_at or run.requested_at
            usual_s = (
                self.outcomes.usual_s(run.account_id, of_last=HISTORY_RUNS)
                if run.account_id is not None
                else None
            )
            yield RunningFacts(
                run_id=run.id,
                subject=named.name or _subject(run),
                elapsed_s=(now - began_at).total_seconds(),
                usual_s=usual_s,
            )


def _takes(worker: WorkerState) -> bool:
    return worker.lease_left_s > 0 and not worker.is_quiet and not worker.is_stopping


def _subject(run: Run) -> str:
    return f"account {run.account_id}" if run.account_id is not None else f"{run.organisation_id}"


def _described(account: StaleAccount, now: datetime) -> str:
    if account.fresh_at is None:
        return f"{account.name} (never synced)"
    return f"{account.name} ({(now - account.fresh_at).total_seconds() / 3600:.0f} h)"


def _told(refusal: Refusal) -> str:
    change = refusal.change
    return f"{change.kind} {change.record_id} of run {refusal.run_id}: {refusal.reason}"
