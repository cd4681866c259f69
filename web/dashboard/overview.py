"""The first page: one verdict, and what it rests on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from dramatiq.errors import BrokerError
from fastapi import APIRouter, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from redis import RedisError

from brokers.latency import COARSE, DAY_S, FINE, HOUR_S, merged
from brokers.states import QueueState
from notifications.verdict.facts import Facts
from notifications.verdict.incidents import href_of
from notifications.verdict.judge import judge
from stores.sql.runs import RunFilter
from sync.errors import TransientError
from sync.ports import Progressed
from sync.report import Run, RunState, Stage
from web.access import Reader
from web.api.queues import queue_states
from web.dashboard.charts import SHARES, marks
from web.dashboard.pages import render
from web.health import Checkup
from web.live import Pulse, Shared
from web.services import Services

router = APIRouter(include_in_schema=False)

CHART_MINUTES = 60
MARKS_SHOWN = 5
FAILURES_SHOWN = 8
RUNNING_SHOWN = 12


@router.get("/")
async def show_overview(request: Request, caller: Reader) -> Response:
    checkup: Checkup = request.app.state.checkup
    report = await checkup.report()
    facts: Shared[dict[str, Any]] = request.app.state.overview
    try:
        context = await facts.get()
    except (RedisError, BrokerError, TransientError):
        # What the page is made of does not answer; that is the verdict.
        return render(request, caller, "outage.html", verdict=judge(_known_without(report, checkup.required)))
    return render(request, caller, "overview.html", **context)


@router.get("/live", response_class=EventSourceResponse)
async def follow_changes(request: Request, _caller: Reader) -> AsyncIterator[ServerSentEvent]:
    """`changed` whenever there is something new to show; a page then loads itself again."""
    pulse: Pulse = request.app.state.pulse
    async for number in pulse.follow():
        if number is None:
            yield ServerSentEvent(comment="still here")
        else:
            yield ServerSentEvent(event="changed", data=number)


def queue_rows(services: Services, queues: list[QueueState]) -> list[dict[str, Any]]:
    """Each queue with what it did in the last hour, minute by minute."""
    minutes = services.operations.minutes_of([queue.name for queue in queues], CHART_MINUTES)
    return [
        {"state": queue, "done": [float(minute.get("done", 0)) for minute in minutes[queue.name]]}
        for queue in queues
    ]


def read_overview(services: Services, checkup: Checkup) -> dict[str, Any]:
    """What the page shows, by the checks' last report. Raises RedisError, BrokerError and SyncError."""
    queues = queue_states(services)
    facts = services.sight.facts(checkup.last_report, checkup.required, queues)
    failures = services.stores.runs.list(RunFilter(state=RunState.FAILED), limit=FAILURES_SHOWN).items
    return {
        "verdict": judge(facts),
        "rows": queue_rows(services, queues),
        "running": [(one, _current_stage(services, one.run)) for one in facts.running],
        "shown": RUNNING_SHOWN,
        "worker_count": facts.worker_count,
        "failures": failures,
        "names": {**facts.names, **services.sight.names_of(failures)},
        "latencies": _latencies(services),
        "providers": _providers(services),
        "alerts": facts.incidents,
        "href_of": href_of,
        "marks": marks(services)[-MARKS_SHOWN:][::-1],
        "totals": {
            "waiting": sum(queue.depth for queue in queues),
            "running": sum(queue.leased for queue in queues),
            "dead": sum(queue.dead for queue in queues),
            "done_per_minute": sum(queue.done_per_minute for queue in queues),
            "died_per_minute": sum(queue.died_per_minute for queue in queues),
        },
    }


def _known_without(report: dict[str, dict[str, Any]], required: list[str]) -> Facts:
    """What can be judged while Redis or SQL does not answer: the checks alone."""
    return Facts(checks=report, required=required, queues=[], worker_count=0, running=[], paused_by={})


def _providers(services: Services) -> list[dict[str, Any]]:
    """Each provider that is installed or was asked: its breaker, and its keys' quotas."""
    quotas = services.gates.quotas()
    names = sorted({*services.provider_hosts, *(quota.provider for quota in quotas)})
    rows = []
    for name in names:
        host = services.provider_hosts.get(name)
        own = [quota for quota in quotas if quota.provider == name]
        open_s = services.gates.breaker_open_s(host) if host else 0.0
        if own or open_s:
            rows.append({"name": name, "host": host, "open_s": open_s, "quotas": own})
    return rows


def _current_stage(services: Services, run: Run) -> dict[Stage, Progressed]:
    """The last stage that has begun, and how far it is."""
    begun = services.progress.read(run.id)
    stages = [stage for stage in Stage if stage in begun]
    return {stage: begun[stage] for stage in stages[-1:]}


def _latencies(services: Services) -> list[dict[str, Any]]:
    """Within which time half, 95 % and 99 % of the syncs started, and were done, of late."""
    now_s = services.clock.now().timestamp()
    rows = []
    for name, grain, back_s in (("last hour", FINE, HOUR_S), ("last day", COARSE, DAY_S)):
        whole = merged(services.read_latency(grain=grain, since_s=now_s - back_s, until_s=now_s).values())
        rows += [
            {
                "of": f"to start, {name}",
                "times_s": [whole.wait.quantile_s(share) for share in SHARES.values()],
            },
            {"of": f"to run, {name}", "times_s": [whole.run.quantile_s(share) for share in SHARES.values()]},
        ]
    return rows
