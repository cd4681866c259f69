"""Ordering a sync, and watching it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent

from stores.sql.documents import progress_document, run_document
from stores.sql.tokens import Role
from sync.errors import StoreUnavailable
from sync.report import Run, Stage
from web.access import Bearer, Reader, admit
from web.api.bodies import documented_body, read_json
from web.api.grouped_orders import Asked, GroupedOrders, SyncAccepted
from web.api.orders import SYNC_EXAMPLES, SyncOrder
from web.api.shapes import SyncBody
from web.problems import Mistake, documented, mistakes
from web.services import Has, Services

router = APIRouter(prefix="/syncs", tags=["syncs"])

LONGEST_KEY = 255

RunId = Annotated[str, Path(max_length=64, examples=["5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"])]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=LONGEST_KEY,
        description="The same key within a day answers the same sync instead of ordering another.",
    ),
]


@router.post(
    "",
    response_model=SyncAccepted,
    status_code=HTTPStatus.ACCEPTED,
    summary="Order a sync",
    openapi_extra=documented_body(SyncOrder, SYNC_EXAMPLES),
    responses=documented(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.CONFLICT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    ),
)
async def order_sync(request: Request, _scheme: Bearer, _idempotency_key: IdempotencyKey = None) -> Response:
    """Queue a sync and answer with the run's address.

    A sync of the same account that already waits or runs is not repeated: the answer
    names its run and says `is_coalesced`.
    """
    return await take_order(request)


async def take_order(request: Request) -> Response:
    """What `order_sync` describes.

    The application serves it by a plain route: FastAPI's way to a handler would take more
    of the processor than the order itself.
    """
    caller = await admit(request, Role.SEND)
    services: Services = request.app.state.services
    context = {"presets": services.settings().presets, "providers": services.providers}
    order = await read_json(request, SyncOrder, context)
    grouped_orders: GroupedOrders = request.app.state.grouped_orders
    accepted = await grouped_orders.order(Asked(order, caller.name, _read_key(request)))
    return Response(
        accepted.model_dump_json(),
        status_code=HTTPStatus.ACCEPTED,
        media_type="application/json",
        headers={"Location": accepted.run_url},
    )


@router.get("/{run_id}", summary="A run", responses=documented(HTTPStatus.NOT_FOUND))
def show_sync(run_id: RunId, _caller: Reader, services: Has) -> SyncBody:
    """The run: its state, what each stage has done so far, and how far it is."""
    document = run_document(services.stores.runs.find(run_id))
    try:
        begun = services.progress.read(run_id)
    except StoreUnavailable:
        # The run itself is told without Redis.
        begun = {}
    progress = [progress_document(begun[stage]) for stage in Stage if stage in begun]
    return SyncBody.model_validate({**document, "progress": progress})


async def _find_run(run_id: RunId, _caller: Reader, services: Has) -> Run:
    # Asked before the stream begins, where a wrong id can still be answered with 404.
    return await run_in_threadpool(services.stores.runs.find, run_id)


@router.get(
    "/{run_id}/events",
    summary="A run's progress, live",
    response_class=EventSourceResponse,
    responses=documented(HTTPStatus.NOT_FOUND),
)
async def follow_sync(
    run: Annotated[Run, Depends(_find_run)], request: Request
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events until the run has ended.

    `run` carries the run whenever its state or stages change, `progress` how far a stage
    is (`stage`, `done`, `total`, `records`), `end` the final run; then the stream closes.
    """
    async for event, payload in request.app.state.live_runs.follow(run.id):
        yield ServerSentEvent(event=event, data=payload)


def _read_key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= LONGEST_KEY:
        raise mistakes(
            [Mistake(parameter="Idempotency-Key", detail=f"it takes 1 to {LONGEST_KEY} characters")]
        )
    return key
