"""Gathers what the verdict is made of, for whoever shows one: the dashboard and the command line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from notifications.blame import step_of
from notifications.digests import Named
from notifications.queue_state import QueueState
from notifications.subjects import subject_key
from notifications.verdict.facts import SLOW_AFTER_S, Facts, Pause, Running, Slow, Trouble
from settings.schema import Settings
from sync.causes import KEY_REFUSED, Party
from sync.incident import Incident
from sync.ports import Clock
from sync.report import Run, RunState

RUNNING_SHOWN = 50
HISTORY_RUNS = 6
TROUBLE_WITHIN = timedelta(hours=1)
TROUBLE_RUNS = 50
MOST_COUNTED = 1000
TROUBLES_SHOWN = 4
LONGEST_MESSAGE = 240
NO_MESSAGE = "no message"
HELD_WITHIN = timedelta(days=14)
HELD_SHOWN = 100
SILENT_FOR_S = 15 * 60


class Outcomes(Protocol):
    """`stores.sql.outcomes.Outcomes`."""

    def running(self, *, limit: int) -> Sequence[Named]: ...

    def usual_s(self, account_id: int, *, of_last: int) -> float | None: ...

    def not_made_good(self, state: RunState, *, since: datetime, limit: int) -> Sequence[Run]: ...

    def held(self, *, since: datetime, limit: int) -> Sequence[Run]: ...

    def succeeded_count(self, *, since: datetime, most: int) -> int: ...


class Incidents(Protocol):
    def current(self) -> Sequence[Incident]: ...


class Accounts(Protocol):
    def find_names(self, account_ids: Collection[int]) -> Mapping[int, str]: ...


class AuditLine(Protocol):
    @property
    def actor(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def action(self) -> str: ...


class Audit(Protocol):
    def about(self, subjects: Collection[str], *, limit: int) -> Sequence[AuditLine]: ...


class Stores(Protocol):
    """`stores.sql.stores.SqlStores`."""

    @property
    def outcomes(self) -> Outcomes: ...
    @property
    def incidents(self) -> Incidents: ...
    @property
    def accounts(self) -> Accounts: ...
    @property
    def audit(self) -> Audit: ...


class Process(Protocol):
    """`stores.redis.registry.Service`."""

    @property
    def id(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def started_at(self) -> datetime: ...
    @property
    def state(self) -> str: ...
    @property
    def queues(self) -> tuple[str, ...]: ...
    @property
    def queues_without_actor(self) -> tuple[str, ...]: ...


class Registry(Protocol):
    def list(self) -> Sequence[Process]: ...

    def silent(self, within_s: float) -> Mapping[str, datetime]: ...


class Held(Protocol):
    """A message that a worker holds."""

    @property
    def queue(self) -> str: ...
    @property
    def since_s(self) -> float: ...


class Worker(Protocol):
    """A worker as the broker knows it."""

    @property
    def process(self) -> str: ...
    @property
    def lease_left_s(self) -> float: ...
    @property
    def is_quiet(self) -> bool: ...
    @property
    def is_stopping(self) -> bool: ...


class Operations(Protocol):
    """`brokers.operations.Operations`."""

    def workers(self) -> Sequence[Worker]: ...

    def in_flight(self) -> Iterable[Held]: ...


class Quota(Protocol):
    @property
    def provider(self) -> str: ...
    @property
    def paused_s(self) -> float: ...


class Gates(Protocol):
    """`stores.redis.gates.Gates`."""

    def quotas(self) -> Iterable[Quota]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Sees everything once; `alike` leaves out of an error what differs from one run to the next."""

    stores: Stores
    registry: Registry
    operations: Operations
    gates: Gates
    sync_queues: frozenset[str]
    alike: Callable[[str], str]
    settings: Callable[[], Settings]
    clock: Clock

    def facts(
        self, checks: Mapping[str, Mapping[str, Any]], required: Sequence[str], queues: Sequence[QueueState]
    ) -> Facts:
        """What stands now, beside the checks. Raises StoreUnavailable and what the broker's client raises."""
        running = self.running()
        processes = self.registry.list()
        held = self.stores.outcomes.held(since=self.clock.now() - HELD_WITHIN, limit=HELD_SHOWN)
        return Facts(
            checks=checks,
            required=required,
            queues=queues,
            worker_count=sum(process.role == "worker" for process in processes),
            running=running,
            paused_by=paused_by(self.stores.audit, queues),
            troubles=self._troubles(),
            succeeded_count=self.stores.outcomes.succeeded_count(
                since=self.clock.now() - TROUBLE_WITHIN, most=MOST_COUNTED
            ),
            silent=self._silent(processes),
            quiet=quiet_ones(self.operations.workers()),
            slow=self._slow(),
            unserved=unserved(processes, [queue.name for queue in queues]),
            without_actor=without_actor(processes),
            throttled_s=self._throttled_s(),
            held=held,
            names=self.names_of([*held[:1], *(one.run for one in running)]),
            sync_queues=self.sync_queues,
            incidents=[one for one in self.stores.incidents.current() if one.is_open],
            rules=self.settings().alerts,
        )

    def running(self) -> list[Running]:
        """The running syncs, longest first, with what is usual for their accounts."""
        now = self.clock.now()
        found = [
            Running(
                run=named.run,
                elapsed=now - (named.run.started_at or named.run.requested_at),
                usual=self._usual(named.run),
            )
            for named in self.stores.outcomes.running(limit=RUNNING_SHOWN)
        ]
        return sorted(found, key=lambda one: one.elapsed, reverse=True)

    def names_of(self, runs: Iterable[Run]) -> Mapping[int, str]:
        """The names of the runs' accounts, as far as they are kept here."""
        return self.stores.accounts.find_names({run.account_id for run in runs if run.account_id is not None})

    def _usual(self, run: Run) -> timedelta | None:
        if run.account_id is None:
            return None
        usual_s = self.stores.outcomes.usual_s(run.account_id, of_last=HISTORY_RUNS)
        return None if usual_s is None else timedelta(seconds=usual_s)

    def _troubles(self) -> list[Trouble]:
        """Why syncs failed of late or are put off, and did not succeed since; most frequent first."""
        since = self.clock.now() - TROUBLE_WITHIN
        found: dict[tuple[bool, str, str], list[Run]] = {}
        for state in (RunState.DEFERRED, RunState.FAILED):
            for run in self.stores.outcomes.not_made_good(state, since=since, limit=TROUBLE_RUNS):
                if key := self._trouble_key(run):
                    reason = (state is RunState.DEFERRED, key, self._reason(run))
                    found.setdefault(reason, []).append(run)
        told = [
            Trouble(
                key=key,
                count=len(runs),
                is_put_off=is_put_off,
                message=(runs[0].message or NO_MESSAGE).partition("\n")[0][:LONGEST_MESSAGE],
                run_id=runs[0].id,
                step=step_of(runs[0].cause) if runs[0].cause else "",
                is_hopeless=runs[0].cause in KEY_REFUSED,
            )
            for (is_put_off, key, _), runs in found.items()
        ]
        return sorted(told, key=lambda one: one.count, reverse=True)[:TROUBLES_SHOWN]

    def _trouble_key(self, run: Run) -> str | None:
        """What is at fault; None when nobody is, as when another sync works on the same."""
        if run.cause is None:
            return f"runs:{self.alike(run.message or NO_MESSAGE)}"
        return subject_key(run.cause, run.provider)

    def _reason(self, run: Run) -> str:
        """What the run shares with others: its cause, and where each is another matter also its message."""
        if run.cause is None or run.cause.party in (Party.ACCOUNT, Party.CODE):
            return self.alike(run.message or NO_MESSAGE)
        return run.cause.value

    def _silent(self, living: Sequence[Process]) -> list[str]:
        """What fell silent of late, but for a single process that another one has taken the place of."""
        silent = self.registry.silent(SILENT_FOR_S)
        origins = Counter(_origin(process) for process in silent)
        return [
            process
            for process, at in silent.items()
            if origins[_origin(process)] > 1
            or not any(_origin(one.id) == _origin(process) and one.started_at >= at for one in living)
        ]

    def _throttled_s(self) -> dict[str, float]:
        """For how long each provider that throttles is left alone yet."""
        found: dict[str, float] = {}
        for quota in self.gates.quotas():
            if quota.paused_s:
                found[quota.provider] = max(quota.paused_s, found.get(quota.provider, 0.0))
        return found

    def _slow(self) -> list[Slow]:
        """Messages in flight for too long, by queue; syncs are judged by their accounts' history instead."""
        now_s = self.clock.now().timestamp()
        ages: dict[str, list[float]] = {}
        for one in self.operations.in_flight():
            age_s = now_s - one.since_s
            if one.queue not in self.sync_queues and age_s > SLOW_AFTER_S:
                ages.setdefault(one.queue, []).append(age_s)
        return [Slow(queue=queue, count=len(found), longest_s=max(found)) for queue, found in ages.items()]


def paused_by(audit: Audit, queues: Iterable[QueueState]) -> Mapping[str, Pause]:
    """Who paused the queues that are paused, and when, from the audit."""
    found = {}
    for queue in queues:
        if queue.is_paused:
            lines = audit.about([f"queue:{queue.name}"], limit=1)
            if lines and lines[0].action == "queue_paused":
                found[queue.name] = Pause(by=lines[0].actor, at=lines[0].at)
    return found


def unserved(processes: Iterable[Process], queues: Iterable[str]) -> list[str]:
    """The queues that no running worker serves, although workers run."""
    served = [set(process.queues) for process in processes if process.queues]
    return sorted(set(queues) - set().union(*served)) if served else []


def quiet_ones(workers: Iterable[Worker]) -> list[str]:
    """The workers when somebody has quieted all of them; else none."""
    staying = [one for one in workers if one.lease_left_s > 0 and not one.is_stopping]
    return [one.process for one in staying] if all(one.is_quiet for one in staying) else []


def without_actor(processes: Iterable[Process]) -> dict[str, tuple[str, ...]]:
    """Workers, and the queues that they serve but could carry out nothing of."""
    return {one.id: one.queues_without_actor for one in processes if one.queues_without_actor}


def role_trouble(registry: Registry, role: str, *, consequence: str) -> str | None:
    """Why nobody plays the role, and what to do; None when at least one process does, and none waits."""
    living = [process for process in registry.list() if process.role == role]
    for process in living:
        if process.state.startswith("waiting"):
            return f"{process.id} is {process.state}, and goes on by itself once that answers."
    if living:
        return None
    if silent := [one for one in registry.silent(SILENT_FOR_S) if one.startswith(f"{role}:")]:
        return (
            f"{silent[-1]} is registered but silent, so {consequence}: it hangs, was stopped or is cut off; "
            f"restart it, or start another with `clubsync {role}`."
        )
    return f"No {role} runs, so {consequence}; start one with `clubsync {role}`."


def _origin(process: str) -> str:
    """Its role and host."""
    return process.rpartition(":")[0]
