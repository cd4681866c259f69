"""Gathers what the dashboard's judgements are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import timedelta

from brokers.fingerprints import fingerprint
from brokers.operations import QueueState
from stores.sql.runs import RunFilter
from sync.report import Run, RunState
from web.api.orders import MESSAGE_OF
from web.dashboard.verdict import SLOW_AFTER_S, Running, Slow, Trouble
from web.services import Services

RUNNING_SHOWN = 50
HISTORY_RUNS = 6
TROUBLE_WITHIN = timedelta(hours=1)
TROUBLE_RUNS = 50
MOST_COUNTED = 1000
TROUBLES_SHOWN = 4
LONGEST_MESSAGE = 240
SILENT_FOR_S = 15 * 60
SYNC_QUEUES = frozenset(kind.queue_name.value for kind in MESSAGE_OF.values())


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
    """Why syncs failed in the last hour or are put off, the most frequent reason first."""
    since = services.clock.now() - TROUBLE_WITHIN
    found: dict[tuple[bool, str], list[Run]] = {}
    for state in (RunState.DEFERRED, RunState.FAILED):
        wanted = RunFilter(state=state, requested_since=since)
        for run in services.stores.runs.list(wanted, limit=TROUBLE_RUNS).items:
            key = (state is RunState.DEFERRED, fingerprint(run.message or "no message"))
            found.setdefault(key, []).append(run)
    told = [
        Trouble(
            count=len(runs),
            is_put_off=is_put_off,
            message=(runs[0].message or "no message").partition("\n")[0][:LONGEST_MESSAGE],
            run_id=runs[0].id,
        )
        for (is_put_off, _), runs in found.items()
    ]
    return sorted(told, key=lambda one: one.count, reverse=True)[:TROUBLES_SHOWN]


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


def paused_by(services: Services, queues: Sequence[QueueState]) -> Mapping[str, str]:
    """Who paused the queues that are paused, from the audit."""
    found = {}
    for queue in queues:
        if queue.is_paused:
            lines = services.stores.audit.list(limit=1, subject=f"queue:{queue.name}").items
            if lines and lines[0].action == "queue_paused":
                found[queue.name] = f"{lines[0].actor} at {lines[0].at:%H:%M} UTC"
    return found


def _usual(services: Services, run: Run) -> timedelta | None:
    if run.account_id is None:
        return None
    page = services.stores.runs.list(RunFilter(account_id=run.account_id), limit=HISTORY_RUNS)
    durations = [past.duration_s for past in page.items if past.duration_s is not None]
    return timedelta(seconds=max(durations)) if durations else None


def roles_alive(services: Services) -> Counter[str]:
    """How many processes live of each role."""
    return Counter(service.role for service in services.registry.list())
