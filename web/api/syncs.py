"""Ordering a sync, and watching it."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import BaseModel, Field

from stores.redis.idempotency import KeyBusy, KeyReused
from stores.sql.documents import run_document
from sync.report import Run
from web.access import Caller, Reader, Sender
from web.api.bodies import documented_body, read_json
from web.api.orders import SYNC_EXAMPLES, SyncOrder, kind_mistake, request_for
from web.api.shapes import RunBody
from web.ports import Receipt
from web.problems import Mistake, Problem, documented, mistakes
from web.services import Has, Services

router = APIRouter(prefix="/syncs", tags=["syncs"])

RunId = Annotated[str, Path(max_length=64, examples=["5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"])]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key within a day answers the same sync instead of ordering another.",
    ),
]


class SyncAccepted(BaseModel):
    """Where to look for what was ordered."""

    id: str = Field(
        description="The run's id, as the run itself calls it.", examples=["5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"]
    )
    run_id: str = Field(
        description="The same, where an answer holds ids of other things too.",
        examples=["5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"],
    )
    message_id: str = Field(examples=["0b7d9a7e-5f38-4d0c-9a53-7d1b2c3d4e5f"])
    is_coalesced: bool = Field(description="A sync of this account waited or ran already; this is its run.")
    run_url: str = Field(examples=["/api/v1/syncs/5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"])
    events_url: str = Field(examples=["/api/v1/syncs/5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21/events"])


async def _read_order(request: Request, services: Has) -> SyncOrder:
    settings = services.settings()
    context = {"presets": settings.presets, "providers": services.providers}
    return await read_json(request, SyncOrder, context)


@router.post(
    "",
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
def order_sync(
    response: Response,
    caller: Sender,
    services: Has,
    order: Annotated[SyncOrder, Depends(_read_order)],
    idempotency_key: IdempotencyKey = None,
) -> SyncAccepted:
    """Queue a sync and answer with the run's address.

    A sync of the same account that already waits or runs is not repeated: the answer
    names its run and says `is_coalesced`.
    """
    if idempotency_key is None:
        accepted = _send(services, order, caller)
    else:
        accepted = _send_once(services, order, caller, idempotency_key)
    response.headers["Location"] = accepted.run_url
    return accepted


@router.get("/{run_id}", summary="A run", responses=documented(HTTPStatus.NOT_FOUND))
def show_sync(run_id: RunId, _caller: Reader, services: Has) -> RunBody:
    """The run: its state, and what each stage has done so far."""
    return RunBody.model_validate(run_document(services.stores.runs.find(run_id)))


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


def _send_once(services: Services, order: SyncOrder, caller: Caller, own_key: str) -> SyncAccepted:
    key = f"{caller.name}:{own_key}"
    fingerprint = hashlib.sha256(order.model_dump_json().encode()).hexdigest()
    try:
        kept = services.answers.claim(key, fingerprint)
    except KeyBusy as error:
        raise Problem(
            HTTPStatus.CONFLICT,
            "A request with this Idempotency-Key is being answered; ask again in a moment.",
            headers={"Retry-After": "1"},
        ) from error
    except KeyReused as error:
        raise mistakes(
            [Mistake(parameter="Idempotency-Key", detail="it was used for a different order within a day")]
        ) from error
    if kept is not None:
        return SyncAccepted.model_validate(kept)
    try:
        accepted = _send(services, order, caller)
    except BaseException:
        services.answers.release(key)
        raise
    services.answers.keep(key, fingerprint, accepted.model_dump())
    return accepted


def _send(services: Services, order: SyncOrder, caller: Caller) -> SyncAccepted:
    if isinstance(order.id, int):
        account = services.find_account(order.id)
        if mistake := kind_mistake(account, order.mode):
            raise mistakes([Mistake(pointer="/id", detail=mistake)])
    receipt = services.publisher.send(request_for(order), requested_by=f"api:{caller.name}")
    return _accepted(receipt)


def _accepted(receipt: Receipt) -> SyncAccepted:
    assert receipt.run_id is not None  # noqa: S101 every sync message has a run
    run_url = f"/api/v1/syncs/{receipt.run_id}"
    return SyncAccepted(
        id=receipt.run_id,
        run_id=receipt.run_id,
        message_id=receipt.message_id,
        is_coalesced=receipt.is_coalesced,
        run_url=run_url,
        events_url=f"{run_url}/events",
    )
