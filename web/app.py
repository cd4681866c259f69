"""The application: routes, and what stands in front of all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel
from starlette.routing import Route

from web import docs, health, metrics, problems
from web.access import Gate
from web.api import (
    accounts,
    alerts,
    audit,
    batches,
    canary,
    config,
    dead,
    deciding,
    mass_retries,
    plugins,
    queues,
    runs,
    schedules,
    syncs,
    workers,
)
from web.api.accounts import NewAccountBody
from web.api.batches import BatchOrder
from web.api.bodies import schemas
from web.api.config import ConfigChange, Restore
from web.api.dead import DeadFilter, DeadMatch, Retry
from web.api.deciding import Decide
from web.api.grouped_orders import GroupedOrders
from web.api.orders import SyncOrder
from web.api.queues import QueueLimit
from web.dashboard import acts, charts, operating, overview, session, subjects
from web.dashboard import dead as dead_pages
from web.dashboard.pages import render_problem
from web.headers import SecurityHeaders
from web.health import Checkup, Heartbeat
from web.limits import BodyLimit, RateLimit
from web.live import READ_EVERY_S, LiveRuns, Pulse, Shared
from web.problems import ProblemBody, documented
from web.services import Services

STATIC = Path(__file__).parent / "static"
DESCRIPTION = (Path(__file__).parent / "api" / "description.md").read_text(encoding="utf-8")
API_PARTS = (
    syncs,
    batches,
    accounts,
    runs,
    deciding,
    queues,
    mass_retries,
    dead,
    workers,
    schedules,
    canary,
    config,
    alerts,
    audit,
    plugins,
)
BODIES: list[type[BaseModel]] = [
    ProblemBody,
    SyncOrder,
    BatchOrder,
    NewAccountBody,
    DeadFilter,
    QueueLimit,
    DeadMatch,
    Decide,
    Retry,
    ConfigChange,
    Restore,
]
# What any route of the API may answer beside its own.
COMMON = documented(
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def create_app(services: Services) -> FastAPI:
    """The application over these services; it opens nothing until it is served."""
    app = FastAPI(
        title="clubsync",
        version=version("clubsync"),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=_lifespan,
    )
    app.state.services = services
    rate_limit = RateLimit(services.request_limits, lambda: services.settings().web.requests_per_s)
    app.state.gate = Gate(services.tokens, rate_limit)
    app.state.grouped_orders = GroupedOrders(services)
    app.state.heartbeat = Heartbeat()
    app.state.checkup = Checkup(services.checks)
    app.state.overview = Shared(
        partial(overview.read_overview, services, app.state.checkup), lasts_s=READ_EVERY_S
    )
    app.state.pulse = Pulse(partial(_pulse, services), services.stopping)
    app.state.live_runs = LiveRuns(services.stores.runs, services.progress, services.stopping)

    app.router.routes.insert(0, Route("/api/v1/syncs", syncs.take_order, methods=["POST"]))
    app.include_router(health.router)
    app.include_router(metrics.router)
    app.include_router(docs.router)
    api = APIRouter(prefix="/api/v1", responses=COMMON)
    for part in API_PARTS:
        api.include_router(part.router)
    app.include_router(api)
    for pages in (overview, charts, subjects, dead_pages, operating, acts, session):
        app.include_router(pages.router)
    app.state.render_problem = render_problem
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    problems.install(app)
    # The last one added is the first one asked.
    app.add_middleware(BodyLimit)
    app.add_middleware(SecurityHeaders)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _pulse(services: Services) -> str:
    return f"{services.operations.pulse()} {services.progress.published()}"


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    beating = asyncio.create_task(app.state.heartbeat.keep())
    try:
        yield
    finally:
        beating.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await beating
        app.state.checkup.close()
        app.state.grouped_orders.close()
        app.state.gate.close()


def _openapi(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schema["components"]["schemas"] |= schemas(BODIES)
        app.openapi_schema = schema
    return app.openapi_schema
