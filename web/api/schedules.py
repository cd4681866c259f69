"""When batches and checks are sent by themselves."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Path
from pydantic import BaseModel, Field

from settings.scheduling import ScheduleEntry
from stores.redis.schedule import EntryState, Pause, RunNow, TickOutcome
from sync.errors import NotFound
from web.access import Operator, Reader
from web.api.audited import note
from web.api.shapes import Done, Paged
from web.problems import documented
from web.services import Has, Services

router = APIRouter(prefix="/schedules", tags=["operations"])

EntryId = Annotated[str, Path(max_length=40, examples=["nightly"])]


class ScheduleBody(BaseModel):
    """An entry of the settings, and what became of it."""

    id: str = Field(examples=["nightly"])
    cron: str | None = Field(examples=["0 1 * * *"])
    every_s: float | None
    when: str = Field(description="its trigger in words", examples=["sat, sun at 09:00"])
    zone: str = Field(examples=["Australia/Sydney"])
    action: str = Field(examples=["batch"])
    preset: str
    spread_s: float
    is_paused: bool
    paused_by: str | None
    next_at: datetime | None = Field(description="as the leading scheduler says; null while none leads")
    last_tick_at: datetime | None
    last_outcome: TickOutcome | None
    last_message: str | None
    last_batch_id: str | None
    failures: int = Field(description="failed ticks in a row")


@router.get("", summary="List schedules")
def list_schedules(_caller: Reader, services: Has) -> Paged[ScheduleBody]:
    """Every entry of the settings."""
    return Paged(items=schedule_bodies(services), next_cursor=None)


@router.post(
    "/{entry_id}/run",
    status_code=HTTPStatus.ACCEPTED,
    summary="Run an entry now",
    responses=documented(HTTPStatus.NOT_FOUND),
)
def run_now(entry_id: EntryId, caller: Operator, services: Has) -> Done:
    """Leave it for the leading scheduler, who acts within about a second; paused or not."""
    require_entry(services, entry_id)
    services.schedule.ask(
        RunNow(
            id=uuid4().hex,
            entry_id=entry_id,
            requested_by=f"api:{caller.name}",
            requested_at=services.clock.now(),
        )
    )
    note(services, caller, "schedule_run", f"schedule:{entry_id}")
    return Done(detail=f"{entry_id} runs within about a second.")


@router.post("/{entry_id}/pause", summary="Pause an entry", responses=documented(HTTPStatus.NOT_FOUND))
def pause(entry_id: EntryId, caller: Operator, services: Has) -> Done:
    """Pass over its ticks until it is resumed."""
    require_entry(services, entry_id)
    services.schedule.pause(entry_id, Pause(by=f"api:{caller.name}", at=services.clock.now()))
    note(services, caller, "schedule_paused", f"schedule:{entry_id}")
    return Done(detail=f"{entry_id} is paused.")


@router.post("/{entry_id}/resume", summary="Resume an entry", responses=documented(HTTPStatus.NOT_FOUND))
def resume(entry_id: EntryId, caller: Operator, services: Has) -> Done:
    """Send its next ticks again; those that were passed over are not made up for."""
    require_entry(services, entry_id)
    was_paused = services.schedule.resume(entry_id)
    note(services, caller, "schedule_resumed", f"schedule:{entry_id}")
    return Done(detail=f"{entry_id} {'is resumed' if was_paused else 'was not paused'}.")


def schedule_bodies(services: Services) -> list[ScheduleBody]:
    states = services.schedule.states()
    entries = services.settings().scheduler.entries
    return [_body(entry_id, entry, states.get(entry_id, EntryState())) for entry_id, entry in entries.items()]


def require_entry(services: Services, entry_id: str) -> None:
    """Raises NotFound."""
    entries = services.settings().scheduler.entries
    if entry_id not in entries:
        raise NotFound(f"there is no schedule {entry_id!r}; there are: {', '.join(entries)}")


def _body(entry_id: str, entry: ScheduleEntry, state: EntryState) -> ScheduleBody:
    return ScheduleBody(
        id=entry_id,
        cron=entry.cron,
        every_s=entry.every_s,
        when=entry.when,
        zone=entry.zone,
        action=entry.action,
        preset=entry.preset,
        spread_s=entry.spread_s,
        is_paused=entry.is_paused or state.pause is not None,
        paused_by=state.pause.by if state.pause else ("settings" if entry.is_paused else None),
        next_at=state.next_at,
        last_tick_at=state.last.tick_at if state.last else None,
        last_outcome=state.last.outcome if state.last else None,
        last_message=state.last.message if state.last else None,
        last_batch_id=state.last.batch_id if state.last else None,
        failures=state.failures,
    )
