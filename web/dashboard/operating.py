"""The pages about the machinery: queues, batches, processes, schedules, settings, audit."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from notifications.verdict.sight import paused_by
from settings.documents import Row, describe
from settings.layers import DEFAULTS
from stores.sql.runs import RunFilter
from web.access import Operator, Reader
from web.api.batches import batch_body
from web.api.canary import trial_body
from web.api.config import version_bodies
from web.api.paging import ListQuery
from web.api.plugins import installed_plugins
from web.api.queues import queue_states
from web.api.schedules import schedule_bodies
from web.api.workers import worker_bodies
from web.dashboard.overview import queue_rows
from web.dashboard.pages import render
from web.health import Checkup
from web.services import Has

router = APIRouter(include_in_schema=False)

VERSIONS_SHOWN = 15


@router.get("/queues")
def show_queues(request: Request, caller: Reader, services: Has) -> Response:
    queues = queue_states(services)
    return render(
        request,
        caller,
        "queues.html",
        rows=queue_rows(services, queues),
        paused_by=paused_by(services.stores.audit, queues),
    )


@router.get("/batches")
def show_batches(request: Request, caller: Reader, services: Has) -> Response:
    batches = [batch_body(services, batch) for batch in services.batches.list(30)]
    return render(
        request, caller, "batches.html", batches=batches, presets=sorted(services.settings().presets)
    )


@router.get("/batches/{batch_id}")
def show_batch(
    request: Request, caller: Reader, services: Has, batch_id: str, query: Annotated[ListQuery, Query()]
) -> Response:
    batch = batch_body(services, services.batches.find(batch_id))
    page = services.stores.runs.list(RunFilter(batch_id=batch_id), limit=query.limit, cursor=query.cursor)
    return render(
        request, caller, "batch.html", batch=batch, page=page, names=services.sight.names_of(page.items)
    )


@router.get("/workers")
async def show_processes(request: Request, caller: Reader, services: Has) -> Response:
    checkup: Checkup = request.app.state.checkup
    report = await checkup.report()

    def read() -> dict[str, Any]:
        return {
            "processes": services.registry.list(),
            "workers": worker_bodies(services),
            "in_flight": services.operations.in_flight(),
            "now_s": services.clock.now().timestamp(),
        }

    return render(request, caller, "workers.html", checks=report, **await run_in_threadpool(read))


@router.get("/schedules")
def show_schedules(request: Request, caller: Reader, services: Has) -> Response:
    return render(request, caller, "schedules.html", entries=schedule_bodies(services))


@router.get("/config")
def show_config(request: Request, caller: Reader, services: Has) -> Response:
    sections: dict[str, list[Row]] = {}
    for row in describe(services.loaded()):
        sections.setdefault(row.key.partition(".")[0], []).append(row)
    return render(
        request,
        caller,
        "config.html",
        sections=sections,
        defaults=DEFAULTS,
        number=services.config_number(),
        trial=trial_body(services),
        endings=services.versions.endings(),
        versions=version_bodies(services.versions.history(VERSIONS_SHOWN)),
        acknowledged=services.versions.acknowledgements(
            services.clock.now(), living=services.registry.living()
        ),
        plugins=installed_plugins(),
    )


@router.get("/audit")
def show_audit(
    request: Request,
    caller: Operator,
    services: Has,
    subject: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str | None, Query(max_length=500)] = None,
) -> Response:
    page = services.stores.audit.list(limit=50, cursor=cursor, subject=subject or None)
    return render(request, caller, "audit.html", page=page, subject=subject)
