"""Many accounts at once."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, Field, StrictBool, StrictStr, ValidationInfo, field_validator

from brokers.queues import Priority
from stores.redis.batches import Batch, BatchState, Cancellation, progress, raise_if_over
from sync.model import OrganisationKind
from web.access import Operator, Reader, Sender
from web.api.audited import note
from web.api.bodies import Body, documented_body, read_json
from web.api.orders import known_preset, known_provider
from web.api.paging import ListQuery
from web.api.shapes import Done, Paged
from web.problems import documented
from web.services import Has, Services

router = APIRouter(prefix="/batches", tags=["syncs"])

DAY_S = 24 * 3600
BATCH_EXAMPLES = {
    "every account over two hours": {"spread_s": 7200},
    "clubs with a tag, quickly": {"types": ["club"], "tags": ["trial"], "preset": "quick"},
    "who was not synced for a day": {"older_than_s": 86400, "plans": ["gold"]},
}


class BatchOrder(Body):
    """Which accounts, and how; an empty filter takes all."""

    types: list[OrganisationKind] = Field(default_factory=list)
    tags: list[StrictStr] = Field(default_factory=list, max_length=50)
    plans: list[StrictStr] = Field(default_factory=list, max_length=50)
    provider: StrictStr | None = Field(default=None, max_length=40)
    older_than_s: float | None = Field(default=None, gt=0, description="not synced for so long")
    is_due: StrictBool = Field(default=False, description="only accounts past their freshness target")
    preset: StrictStr = Field(default="full", max_length=40)
    priority: Priority = Priority.LOW
    spread_s: float = Field(default=0.0, ge=0, le=DAY_S, description="the window over which they start")
    dry_run: StrictBool = False

    @field_validator("preset")
    @classmethod
    def _preset_exists(cls, preset: str, info: ValidationInfo) -> str:
        return known_preset(preset, info)

    @field_validator("provider")
    @classmethod
    def _provider_exists(cls, provider: str | None, info: ValidationInfo) -> str | None:
        return known_provider(provider, info)


class BatchProgress(BaseModel):
    """How far the batch's runs are."""

    total: int
    finished: int
    succeeded: int
    partial: int
    failed: int
    cancelled: int
    running: int
    coalesced: int
    eta_s: float | None


class BatchBody(BaseModel):
    id: str = Field(examples=["5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21"])
    state: BatchState
    starts_at: datetime
    requested_by: str
    entry_id: str | None = Field(description="the schedule entry that started it")
    preset: str
    priority: Priority
    types: list[str]
    tags: list[str]
    plans: list[str]
    provider: str | None
    older_than_s: float | None
    is_due: bool
    spread_s: float
    dry_run: bool
    total: int = Field(description="accounts chosen; 0 until the scheduler has taken it")
    sent: int
    coalesced: int
    withdrawn: int = Field(description="messages taken back when it was cancelled")
    message: str | None
    progress: BatchProgress


async def _read_order(request: Request, services: Has) -> BatchOrder:
    context = {"presets": services.settings().presets, "providers": services.providers}
    return await read_json(request, BatchOrder, context)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    summary="Sync many accounts",
    openapi_extra=documented_body(BatchOrder, BATCH_EXAMPLES),
    responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
)
def order_batch(
    response: Response, caller: Sender, services: Has, order: Annotated[BatchOrder, Depends(_read_order)]
) -> BatchBody:
    """Leave a batch for the leading scheduler, who begins to send within about a second."""
    batch = ask_for_batch(services, order, requested_by=f"api:{caller.name}")
    note(services, caller, "batch_asked", f"batch:{batch.id}", **order.model_dump(mode="json"))
    response.headers["Location"] = f"/api/v1/batches/{batch.id}"
    return batch_body(services, batch)


@router.get("", summary="List batches")
def list_batches(_caller: Reader, services: Has, query: Annotated[ListQuery, Query()]) -> Paged[BatchBody]:
    """The newest ones first; this list has one page."""
    found = services.batches.list(query.limit)
    return Paged(items=[batch_body(services, batch) for batch in found], next_cursor=None)


@router.get("/{batch_id}", summary="A batch", responses=documented(HTTPStatus.NOT_FOUND))
def show_batch(batch_id: Annotated[str, Path(max_length=64)], _caller: Reader, services: Has) -> BatchBody:
    """The batch and how far its runs are; `/runs?batch_id=` lists them."""
    return batch_body(services, services.batches.find(batch_id))


@router.post(
    "/{batch_id}/cancel",
    status_code=HTTPStatus.ACCEPTED,
    summary="Cancel a batch",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def cancel_batch(batch_id: Annotated[str, Path(max_length=64)], caller: Operator, services: Has) -> Done:
    """Take back what waits; what runs goes on. The scheduler acts within about a second, and
    the batch then says what was withdrawn. A message stays that somebody else asked for, too.
    """
    ask_to_cancel(services, batch_id, by=f"api:{caller.name}")
    note(services, caller, "batch_cancelled", f"batch:{batch_id}")
    return Done(detail=f"{batch_id} is cancelled within about a second.")


def ask_for_batch(services: Services, order: BatchOrder, *, requested_by: str) -> Batch:
    """Leave it for the leading scheduler."""
    chosen = {"preset", "priority", "provider", "older_than_s", "is_due", "spread_s", "dry_run"}
    batch = Batch(
        id=uuid4().hex,
        starts_at=services.clock.now(),
        requested_by=requested_by,
        types=tuple(kind.value for kind in order.types),
        tags=tuple(order.tags),
        plans=tuple(order.plans),
        **order.model_dump(include=chosen),
    )
    services.batches.ask(batch)
    return batch


def ask_to_cancel(services: Services, batch_id: str, *, by: str) -> None:
    """Leave it for the leading scheduler. Raises NotFound, and InvalidRequest when it is over."""
    batch, now = services.batches.find(batch_id), services.clock.now()
    raise_if_over(batch, progress(batch, services.stores.runs.count_by_state(batch_id), now))
    services.batches.ask_to_cancel(Cancellation(batch_id=batch_id, by=by, at=now))


def batch_body(services: Services, batch: Batch) -> BatchBody:
    counts = services.stores.runs.count_by_state(batch.id)
    document: dict[str, Any] = msgspec.to_builtins(batch)
    document["progress"] = msgspec.to_builtins(progress(batch, counts, services.clock.now()))
    return BatchBody.model_validate(document)
