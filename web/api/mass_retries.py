"""Guarded mass retries: three dead letters first, then more and more, while none dies again."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, Field

from brokers.mass_retry import MassRetry, MassRetryState
from stores.sql.audit import AuditLog
from web.access import Operator, Reader
from web.api.audited import note
from web.api.bodies import documented_body, read_json
from web.api.dead import BODY_PROBLEMS, DeadMatch, match_of
from web.api.shapes import Done, Paged
from web.problems import documented
from web.services import Has

router = APIRouter(prefix="/dead/mass-retries", tags=["operations"])

EXAMPLES = {
    "of one error": {"error": "5f0c2f8e6f6d"},
    "of a queue, of the last night": {"queue": "syncs", "died_since": "2031-10-18T00:00:00Z"},
}
RetryId = Annotated[str, Path(max_length=40, examples=["5f0c2f8e6f6d"])]


class MassRetryBody(BaseModel):
    """How far it is. `kept` letters stay dead: a newer message does their work, or nobody can read them."""

    id: str = Field(examples=["5f0c2f8e6f6d"])
    state: MassRetryState
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    filter: dict[str, Any]
    total: int = Field(description="letters that matched when it began")
    left: int = Field(description="not sent again yet")
    in_flight: int = Field(description="sent again in the present step, and not settled yet")
    step_size: int
    done: int
    died_again: int
    kept: int
    message: str


async def _read_match(request: Request) -> DeadMatch:
    return await read_json(request, DeadMatch)


@router.post(
    "",
    status_code=HTTPStatus.ACCEPTED,
    summary="Begin a guarded mass retry",
    openapi_extra=documented_body(DeadMatch, EXAMPLES),
    responses=BODY_PROBLEMS,
)
def begin(
    response: Response, caller: Operator, services: Has, wanted: Annotated[DeadMatch, Depends(_read_match)]
) -> MassRetryBody:
    """Send three of the letters that match again; then, while none dies again, more and more.

    It ends by itself when letters die again, and can be stopped. It goes on after a restart.
    """
    filters = wanted.model_dump(mode="json", exclude_none=True)
    retry = services.mass_retries.ask(match_of(wanted), asked_by=caller.name, source="api")
    note(services, caller, "mass_retry_begun", subject_of(retry.id), total=retry.total, **filters)
    response.headers["Location"] = f"/api/v1/dead/mass-retries/{retry.id}"
    return mass_retry_body(retry)


@router.get("", summary="List mass retries")
def list_mass_retries(_caller: Reader, services: Has) -> Paged[MassRetryBody]:
    """The latest fifty, the last one first."""
    return Paged(items=[mass_retry_body(one) for one in services.mass_retries.list()], next_cursor=None)


@router.get("/{retry_id}", summary="A mass retry", responses=documented(HTTPStatus.NOT_FOUND))
def show(retry_id: RetryId, _caller: Reader, services: Has) -> MassRetryBody:
    return mass_retry_body(services.mass_retries.find(retry_id))


@router.post("/{retry_id}/stop", summary="Stop a mass retry", responses=documented(HTTPStatus.NOT_FOUND))
def stop(retry_id: RetryId, caller: Operator, services: Has) -> Done:
    """Let it send nothing more; what it has sent goes on."""
    retry = services.mass_retries.stop(retry_id, by=caller.name)
    if retry.is_over:
        return Done(detail=f"It is over: {retry.message}.")
    note(services, caller, "mass_retry_stopped", subject_of(retry_id))
    return Done(detail="It sends nothing more.")


def mass_retry_body(retry: MassRetry) -> MassRetryBody:
    given = msgspec.to_builtins(retry.match)
    return MassRetryBody(
        id=retry.id,
        state=retry.state,
        asked_by=retry.asked_by,
        asked_at=datetime.fromtimestamp(retry.asked_at_s, UTC),
        ended_at=None if retry.ended_at_s is None else datetime.fromtimestamp(retry.ended_at_s, UTC),
        filter={name: value for name, value in given.items() if value is not None},
        total=retry.total,
        left=retry.left,
        in_flight=len(retry.in_flight),
        step_size=retry.step_size,
        done=retry.done,
        died_again=retry.died_again,
        kept=retry.kept,
        message=retry.message,
    )


def subject_of(retry_id: str) -> str:
    """What the audit calls it."""
    return f"mass-retry:{retry_id}"


def note_end(audit: AuditLog, retry: MassRetry) -> None:
    """The audit line of a mass retry that ended by itself, in the name of who asked for it."""
    counts = {"done": retry.done, "died_again": retry.died_again, "kept": retry.kept}
    audit.record(
        actor=retry.asked_by,
        source=retry.source,
        action=f"mass_retry_{retry.state.value}",
        subject=subject_of(retry.id),
        detail={**counts, "message": retry.message},
    )
