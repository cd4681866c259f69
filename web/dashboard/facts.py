"""Gathers what the dashboard's judgements are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from brokers.fingerprints import fingerprint
from brokers.latency import SYNC_QUEUES
from brokers.states import QueueState
from notifications.blame import step_of
from notifications.subjects import subject_key
from stores.sql.runs import RunFilter
from sync.causes import KEY_REFUSED, Party
from sync.report import Run, RunState
from web.dashboard.verdict import SLOW_AFTER_S, Pause, Running, Slow, Trouble
from web.services import Services

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


def running_syncs(services: Services) -> list[Running]:
    """The latest running syncs, longest first, with what is usual for their accounts."""
    page = services.stores.runs.list(RunFilter(state=RunState.RUNNING), limit=RUNNING_SHOWN)
    now = services.clock.now()
    found = [
        Running(run=run, elapsed=now - (run.started_at or run.requested_at), usual=_usual(services, run))
        for run in page.items
    ]
    return sorted(found, key=lambda one: one.elapsed, reverse=True)


def troubles(services: Services) -> list[Trouble]:
    """Why syncs failed in the last hour or are put off, and did not succeed since; most frequent first."""
    since = services.clock.now() - TROUBLE_WITHIN
    found: dict[tuple[bool, str, str], list[Run]] = {}
    for state in (RunState.DEFERRED, RunState.FAILED):
        for run in services.stores.outcomes.not_made_good(state, since=since, limit=TROUBLE_RUNS):
            if key := _trouble_key(run):
                reason = (state is RunState.DEFERRED, key, _reason(run))
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


def _trouble_key(run: Run) -> str | None:
    """What is at fault; None when nobody is, as when another sync works on the same."""
    if run.cause is None:
        return f"runs:{fingerprint(run.message or NO_MESSAGE)}"
    return subject_key(run.cause, run.provider)


def _reason(run: Run) -> str:
    """What the run shares with others: its cause, and where each is another matter also its message."""
    if run.cause is None or run.cause.party in (Party.ACCOUNT, Party.CODE):
        return fingerprint(run.message or NO_MESSAGE)
    return run.cause.value


def silent_processes(services: Services) -> list[str]:
    """What fell silent of late, but for a single process that another one has taken the place of."""
    living = services.registry.list()
    silent = services.registry.silent(SILENT_FOR_S)
    origins = Counter(_origin(process) for process in silent)
    return [
        process
        for process, at in silent.items()
        if origins[_origin(process)] > 1
        or not any(_origin(one.id) == _origin(process) and one.started_at >= at for one in living)
    ]


def _origin(process: str) -> str:
    """Its role and host."""
    return process.rpartition(":")[0]


def throttled_s(services: Services) -> dict[str, float]:
    """For how long each provider that throttles is left alone yet."""
    found: dict[str, float] = {}
    for quota in services.gates.quotas():
        if quota.paused_s:
            found[quota.provider] = max(quota.paused_s, found.get(quota.provider, 0.0))
    return found


def succeeded_count(services: Services) -> int:
    """Syncs that were asked for and succeeded in the last hour; counted up to a thousand."""
    since = services.clock.now() - TROUBLE_WITHIN
    wanted = RunFilter(state=RunState.SUCCEEDED, requested_since=since)
    return services.stores.runs.count(wanted, most=MOST_COUNTED)


def slow_messages(services: Services) -> list[Slow]:
    """Messages in flight for too long, by queue; syncs are judged by their accounts' history instead."""
    now_s = services.clock.now().timestamp()
    ages: dict[str, list[float]] = {}
    for one in services.operations.in_flight():
        age_s = now_s - one.since_s
        if one.queue not in SYNC_QUEUES and age_s > SLOW_AFTER_S:
            ages.setdefault(one.queue, []).append(age_s)
    return [Slow(queue=queue, count=len(found), longest_s=max(found)) for queue, found in ages.items()]


def paused_by(services: Services, queues: Sequence[QueueState]) -> Mapping[str, Pause]:
    """Who paused the queues that are paused, and when, from the audit."""
    found = {}
    for queue in queues:
        if queue.is_paused:
            lines = services.stores.audit.list(limit=1, subject=f"queue:{queue.name}").items
            if lines and lines[0].action == "queue_paused":
                found[queue.name] = Pause(by=lines[0].actor, at=lines[0].at)
    return found


def _usual(services: Services, run: Run) -> timedelta | None:
    if run.account_id is None:
        return None
    page = services.stores.runs.list(RunFilter(account_id=run.account_id), limit=HISTORY_RUNS)
    durations = [past.duration_s for past in page.items if past.duration_s is not None]
    return timedelta(seconds=max(durations)) if durations else None


def names_of(services: Services, runs: Iterable[Run]) -> Mapping[int, str]:
    """The names of the runs' accounts, as far as they are kept here."""
    return services.stores.accounts.find_names({run.account_id for run in runs if run.account_id is not None})


def roles_alive(services: Services) -> Counter[str]:
    """How many processes live of each role."""
    return Counter(service.role for service in services.registry.list())
