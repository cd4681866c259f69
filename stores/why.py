"""Gathers what may hold a sync up, from everywhere it is remembered; `sync.why` judges it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from settings.scheduling import ScheduleEntry
from settings.schema import Settings
from stores.redis.gates import Gates
from stores.redis.schedule import EntryState, Schedule
from stores.sql.runs import RunFilter
from stores.sql.stores import SqlStores
from sync.causes import OURS_TO_MEND, Cause
from sync.errors import NotFound
from sync.model import Account
from sync.ports import Clock
from sync.report import Run, RunState
from sync.why import BY_HAND, Answer, Holder, Place, Situation, Tick, explain, explain_idle, explain_outage

# Enough to find an active run among, and to know what is usual.
LOOKED_AT_RUNS = 20


class QueueLook(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def is_paused(self) -> bool: ...

    @property
    def leased(self) -> int: ...

    @property
    def limit(self) -> int | None: ...

    @property
    def done_per_minute(self) -> float: ...


class WorkerLook(Protocol):
    @property
    def process(self) -> str: ...

    @property
    def lease_left_s(self) -> float: ...

    @property
    def is_quiet(self) -> bool: ...

    def serves(self, queue: str) -> bool: ...


class Queues(Protocol):
    """What the brokers know (`brokers.operations.Operations`)."""

    def queue(self, name: str) -> QueueLook: ...

    def workers(self) -> Sequence[WorkerLook]: ...


class Whereabouts(Protocol):
    """Where a message is (`brokers.whereabouts.Whereabouts`)."""

    @property
    def place(self) -> str: ...

    @property
    def ahead(self) -> int: ...

    @property
    def due_in_s(self) -> float | None: ...

    @property
    def process(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Answers for runs and accounts; `message_of` names a run's queue and unique key.

    `outage` says what stops every sync, where the caller has found such a thing; `find_silent` names
    the processes that stopped to beat of late, `step_of` what a person does about a cause.
    """

    stores: SqlStores
    gates: Gates
    schedule: Schedule
    queues: Queues
    find_message: Callable[[str], Whereabouts | None]
    message_of: Callable[[Run], tuple[str, str]]
    provider_hosts: Mapping[str, str]
    settings: Callable[[], Settings]
    clock: Clock
    find_silent: Callable[[], Iterable[str]]
    step_of: Callable[[Cause], str]

    def of_run(self, run: Run, *, outage: str | None = None) -> Answer:
        """What holds an active run up."""
        return explain(replace(self._situation(run), outage=outage))

    def of_account(self, account: Account, *, outage: str | None = None) -> Answer:
        """What holds the account's sync up; without one, why there is none."""
        runs = self.stores.runs.list(RunFilter(account_id=account.id), limit=LOOKED_AT_RUNS).items
        active = [run for run in runs if not run.state.is_final]
        if active:
            # A real sync before a dry one: it is what keeps the account fresh.
            return self.of_run(min(active, key=lambda run: run.dry_run), outage=outage)
        if outage is not None:
            return explain_outage(outage)
        latest = next((run for run in runs if run.preset not in BY_HAND and not run.dry_run), None)
        return explain_idle(
            latest,
            waits_for_person=latest if latest and self._waits(latest) else None,
            ticks=self._ticks(account),
            now=self.clock.now(),
            step=self._step(latest),
        )

    def _step(self, latest: Run | None) -> str | None:
        """What our own settings make fail fails again, until somebody mends them."""
        if latest is None or latest.state is not RunState.FAILED or latest.cause not in OURS_TO_MEND:
            return None
        return self.step_of(latest.cause)

    def _waits(self, run: Run) -> bool:
        return run.plan_hash is not None and self.stores.decisions.find(run.id) is None

    def _situation(self, run: Run) -> Situation:
        queue_name, unique_key = self.message_of(run)
        queue, found = self.queues.queue(queue_name), self.find_message(unique_key)
        workers = self.queues.workers()
        provider = run.provider or self.settings().providers.default
        situation = Situation(
            run=run,
            queue=queue_name,
            is_paused=queue.is_paused,
            paused_by=self._paused_by(queue) if queue.is_paused else None,
            is_full=queue.limit is not None and queue.leased >= queue.limit,
            taking_worker_count=sum(worker.serves(queue_name) for worker in workers),
            quiet_worker=next(
                (one.process for one in workers if one.is_quiet and one.lease_left_s > 0), None
            ),
            silent_worker=next((one for one in self.find_silent() if one.startswith("worker:")), None),
            holder=self._holder(run),
            pause_s=max(
                (quota.paused_s for quota in self.gates.quotas() if quota.provider == provider), default=0.0
            ),
            breaker_open_s=self.gates.breaker_open_s(self.provider_hosts.get(provider, "")),
            done_per_minute=queue.done_per_minute,
            left_s=self._left_s(run),
        )
        if found is None:
            return situation
        alive = {worker.process for worker in workers if worker.lease_left_s > 0}
        return replace(
            situation,
            place=Place(found.place),
            ahead=found.ahead,
            due_in_s=found.due_in_s,
            is_worker_lost=found.process is not None and found.process not in alive,
        )

    def _paused_by(self, queue: QueueLook) -> str | None:
        lines = self.stores.audit.list(limit=1, subject=f"queue:{queue.name}").items
        if not lines or lines[0].action != "queue_paused":
            return None
        return f"{lines[0].actor} at {lines[0].at:%H:%M} UTC"

    def _holder(self, run: Run) -> Holder | None:
        key = self._organisation_key(run)
        lease = self.gates.lease(key) if key else None
        if lease is None or lease.owner == run.id:
            return None
        try:
            holding = self.stores.runs.find(lease.owner)
        except NotFound:
            return Holder(run=None, left_s=None)
        return Holder(run=holding, left_s=self._left_s(holding))

    def _left_s(self, run: Run) -> float | None:
        """By the longest of the account's last runs; None when nobody can tell."""
        if run.started_at is None or run.account_id is None:
            return None
        past = self.stores.runs.list(RunFilter(account_id=run.account_id), limit=LOOKED_AT_RUNS).items
        durations = [
            one.duration_s for one in past if one.duration_s is not None and one.preset == run.preset
        ]
        if not durations:
            return None
        left_s = max(durations) - (self.clock.now() - run.started_at).total_seconds()
        return left_s if left_s > 0 else None

    def _organisation_key(self, run: Run) -> str | None:
        if run.organisation_id is not None:
            return f"{run.provider or self.settings().providers.default}:{run.organisation_id}"
        if run.account_id is None:
            return None
        try:
            organisation = self.stores.accounts.find(run.account_id).organisation
        except NotFound:
            return None
        return f"{organisation.provider}:{organisation.id}"

    def _ticks(self, account: Account) -> list[Tick]:
        states, is_led = self.schedule.states(), self.schedule.is_led()
        return [
            _tick(entry_id, entry, states.get(entry_id, EntryState()), is_led=is_led)
            for entry_id, entry in self.settings().scheduler.entries.items()
            if entry.action == "batch" and _takes(entry, account)
        ]


def _tick(entry_id: str, entry: ScheduleEntry, state: EntryState, *, is_led: bool) -> Tick:
    by = state.pause.by if state.pause else None
    return Tick(
        entry_id=entry_id,
        is_paused=entry.is_paused or state.pause is not None,
        paused_by=by or ("the settings" if entry.is_paused else None),
        # A leader that died leaves what it foretold.
        next_at=state.next_at if is_led else None,
    )


def _takes(entry: ScheduleEntry, account: Account) -> bool:
    """By what does not change from night to night; entries for what is due just now promise nothing."""
    wanted = entry.filter
    return (
        not (wanted.plans or wanted.is_due)
        and (not wanted.types or account.organisation.kind.value in wanted.types)
        and (not wanted.tags or bool(set(wanted.tags) & set(account.tags)))
        and wanted.provider in (None, account.organisation.provider)
    )
