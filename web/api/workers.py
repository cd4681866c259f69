"""The processes: who lives, what they carry, and quieting or stopping a worker."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from sync.errors import NotFound
from web.access import Operator, Reader
from web.api.audited import note
from web.api.shapes import Done
from web.problems import documented
from web.services import Has, Services

router = APIRouter(prefix="/workers", tags=["operations"])

# The audit's names of the orders.
ORDERED = {"quiet": "worker_quieted", "wake": "worker_woken", "stop": "worker_stopped"}

Process = Annotated[str, Path(max_length=200, examples=["host-1:417:5f0c2f8e"])]


class ServiceBody(BaseModel):
    """A process as it says of itself every two seconds."""

    id: str
    role: str = Field(examples=["worker"])
    host: str
    pid: int
    version: str
    started_at: datetime
    config_version: int | None
    state: str = Field(examples=["running", "waiting for sql"])
    load: dict[str, float]
    queues: tuple[str, ...] = Field(description="that a worker serves")
    queues_without_actor: tuple[str, ...] = Field(description="of them, those it could carry out nothing of")
    seen_at: datetime | None


class WorkerBody(BaseModel):
    """A worker as the broker sees it; without a heartbeat its messages go to others."""

    process: str = Field(examples=["host-1:417:5f0c2f8e"])
    lease_left_s: float
    is_quiet: bool
    is_stopping: bool
    record: dict[str, Any] = Field(description="what it says of itself to the broker")
    running: int = Field(description="messages it holds")


class Processes(BaseModel):
    services: list[ServiceBody]
    workers: list[WorkerBody]


@router.get("", summary="List processes")
def list_workers(_caller: Reader, services: Has) -> Processes:
    """Every living process, and each worker's messages."""
    return Processes(
        services=[
            ServiceBody.model_validate(service, from_attributes=True) for service in services.registry.list()
        ],
        workers=worker_bodies(services),
    )


@router.post("/{process}/quiet", summary="Quiet a worker", responses=documented(HTTPStatus.NOT_FOUND))
def quiet(process: Process, caller: Operator, services: Has) -> Done:
    """Let it take nothing new; what it runs goes on."""
    return _order(services, caller, process, "quiet")


@router.post("/{process}/wake", summary="Wake a worker", responses=documented(HTTPStatus.NOT_FOUND))
def wake(process: Process, caller: Operator, services: Has) -> Done:
    """Let a quiet worker take messages again."""
    return _order(services, caller, process, "wake")


@router.post("/{process}/stop", summary="Stop a worker", responses=documented(HTTPStatus.NOT_FOUND))
def stop(process: Process, caller: Operator, services: Has) -> Done:
    """Let it finish or hand back what it holds, and exit."""
    return _order(services, caller, process, "stop")


def worker_bodies(services: Services) -> list[WorkerBody]:
    held = [message.process for message in services.operations.in_flight()]
    return [
        WorkerBody(
            process=worker.process,
            lease_left_s=worker.lease_left_s,
            is_quiet=worker.is_quiet,
            is_stopping=worker.is_stopping,
            record=dict(worker.record),
            running=held.count(worker.process),
        )
        for worker in services.operations.workers()
    ]


def order_worker(services: Services, process: str, order: str) -> bool:
    """Give an order; False when no such worker lives."""
    if order == "stop":
        return services.operations.stop(process)
    return services.operations.quiet(process, is_quiet=order == "quiet")


def _order(services: Services, caller: Operator, process: str, order: str) -> Done:
    if not order_worker(services, process, order):
        raise NotFound(f"there is no worker {process!r}")
    note(services, caller, ORDERED[order], f"worker:{process}")
    said = {"quiet": "takes nothing new", "wake": "takes messages again", "stop": "finishes and exits"}[order]
    return Done(detail=f"{process} {said} within a heartbeat.")
