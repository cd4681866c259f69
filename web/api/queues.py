"""The queues: how full they are, and pausing, resuming, purging them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request
from pydantic import BaseModel, Field

from brokers.operations import said_of_limit
from brokers.queues import Priority, Queue
from brokers.states import QueueState
from sync.counting import counted
from sync.errors import NotFound
from web.access import Admin, Operator, Reader
from web.api.audited import SOURCE, note
from web.api.bodies import Body, documented_body, read_json
from web.api.shapes import Done, Paged
from web.problems import documented
from web.services import Has, Services

router = APIRouter(prefix="/queues", tags=["operations"])


def _known_queue(name: Annotated[str, Path(max_length=100, examples=["syncs"])], services: Has) -> str:
    if name not in list(Queue) and name not in services.operations.queue_names():
        raise NotFound(f"there is no queue {name!r}; there are: {', '.join(Queue)}")
    return name


QueueName = Annotated[str, Depends(_known_queue)]


class LedgerBody(BaseModel):
    """enqueued = done + coalesced + deleted + waiting + delayed + leased + dead, always."""

    enqueued: int
    done: int
    coalesced: int
    deleted: int
    waiting: int
    delayed: int
    leased: int
    dead: int
    is_balanced: bool


class QueueBody(BaseModel):
    """A queue now; rates are of the last five minutes."""

    name: str = Field(examples=["syncs"])
    depth: int = Field(description="messages that wait to start")
    waiting: dict[Priority, int]
    delayed: int
    leased: int = Field(description="messages that run")
    dead: int
    oldest_age_s: float | None
    is_paused: bool
    limit: int | None = Field(description="most that run at once, null for no limit")
    enqueued_per_minute: float
    done_per_minute: float
    died_per_minute: float
    ledger: LedgerBody


class QueueLimit(Body):
    """How many messages of a queue may run at once."""

    limit: int | None = Field(ge=1, description="null: no limit of its own")


@router.get("", summary="List queues")
def list_queues(_caller: Reader, services: Has) -> Paged[QueueBody]:
    """Every queue, those that were never used too."""
    return Paged(items=[queue_body(state) for state in queue_states(services)], next_cursor=None)


@router.get("/{name}", summary="A queue", responses=documented(HTTPStatus.NOT_FOUND))
def show_queue(_caller: Reader, services: Has, name: QueueName) -> QueueBody:
    return queue_body(services.operations.queue(name))


@router.post("/{name}/pause", summary="Pause a queue", responses=documented(HTTPStatus.NOT_FOUND))
def pause(caller: Operator, services: Has, name: QueueName) -> Done:
    """Nothing of the queue starts until it is resumed; what runs goes on."""
    services.operations.pause(name)
    note(services, caller, "queue_paused", f"queue:{name}")
    return Done(detail=f"{name} is paused; what runs goes on.")


@router.post("/{name}/resume", summary="Resume a queue", responses=documented(HTTPStatus.NOT_FOUND))
def resume(caller: Operator, services: Has, name: QueueName) -> Done:
    """Let its messages start again."""
    services.operations.resume(name)
    note(services, caller, "queue_resumed", f"queue:{name}")
    return Done(detail=f"{name} runs.")


async def _read_limit(request: Request) -> QueueLimit:
    return await read_json(request, QueueLimit)


@router.put(
    "/{name}/limit",
    summary="Limit a queue",
    openapi_extra=documented_body(QueueLimit, {"two at once": {"limit": 2}, "no limit": {"limit": None}}),
    responses=documented(HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
)
def limit_queue(
    caller: Operator, services: Has, name: QueueName, wanted: Annotated[QueueLimit, Depends(_read_limit)]
) -> Done:
    """From now on at most so many of its messages run at once, over all workers; what runs goes on."""
    services.operations.set_limit(name, wanted.limit)
    note(services, caller, "queue_limited", f"queue:{name}", limit=wanted.limit)
    return Done(detail=said_of_limit(name, wanted.limit))


@router.post("/{name}/purge", summary="Purge a queue", responses=documented(HTTPStatus.NOT_FOUND))
def purge(caller: Admin, services: Has, name: QueueName) -> Done:
    """Delete what waits or is delayed, for good; what runs and the dead letters stay.

    The runs of the messages end as cancelled.
    """
    done = services.removal.purge(name, by=f"{SOURCE}:{caller.name}")
    note(services, caller, "queue_purged", f"queue:{name}", count=done.messages, runs=done.runs)
    said = f"{counted(done.messages, 'message')} of {name} deleted{done.and_runs}."
    return Done(detail=said, count=done.messages)


def queue_states(services: Services) -> list[QueueState]:
    """The queues that are known by name, in the order of `Queue`, then any others."""
    known = [queue.value for queue in Queue]
    others = [name for name in services.operations.queue_names() if name not in known]
    return services.operations.queues([*known, *others])


def queue_body(state: QueueState) -> QueueBody:
    return QueueBody.model_validate(state, from_attributes=True)
