"""The answers' shapes that several routes share; times are ISO 8601 with Z."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from stores.sql.paging import Page
from stores.timeline import EventKind
from sync.causes import Cause
from sync.changes import Action
from sync.model import RecordKind
from sync.report import DeliveryState, Mode, Outcome, RunState, Stage

T = TypeVar("T")

RUN_EXAMPLE: JsonDict = {
    "id": "5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21",
    "mode": "club",
    "account_id": 42,
    "organisation_id": "8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10",
    "provider": "playhq",
    "preset": "full",
    "state": "succeeded",
    "outcome": "succeeded",
    "delivery": None,
    "dry_run": False,
    "batch_id": None,
    "requested_at": "2031-10-18T01:00:00Z",
    "started_at": "2031-10-18T01:00:00.120000Z",
    "finished_at": "2031-10-18T01:00:09.640000Z",
    "duration_s": 9.52,
    "config_version": 3,
    "stages": {
        "games": {
            "outcome": "succeeded",
            "read": 312,
            "created": 2,
            "updated": 5,
            "unchanged": 305,
            "removed": 0,
            "quarantined": 0,
            "waiting": 0,
            "duration_s": 4.8,
            "message": None,
        }
    },
    "requests": {"sent": 44, "cache_hits": 12, "not_modified": 20, "retried": 1, "throttled": 0},
    "holds": [],
    "plan_hash": None,
    "of_run_id": None,
    "message": None,
    "cause": None,
}


class StageBody(BaseModel):
    model_config = ConfigDict(extra="allow")

    outcome: Outcome
    read: int
    created: int
    updated: int
    unchanged: int
    removed: int
    quarantined: int
    waiting: int = Field(description="Changes that wait until the CMS is back.")
    refused: int = Field(
        default=0, description="Changes that waited and that the CMS refused then; see /refused."
    )
    duration_s: float
    message: str | None


class RequestsBody(BaseModel):
    """What the run cost its provider."""

    model_config = ConfigDict(extra="allow")

    sent: int
    cache_hits: int
    not_modified: int
    retried: int
    throttled: int


class ProgressBody(BaseModel):
    """How far a stage is: units (grades, mostly) done of total, and records read by then."""

    stage: Stage
    done: int
    total: int
    records: int
    eta_s: float | None = Field(description="what the rest takes at the pace so far")


class RunBody(BaseModel):
    """A run, as every way in shows it."""

    model_config = ConfigDict(extra="allow", json_schema_extra={"examples": [RUN_EXAMPLE]})

    id: str
    mode: Mode
    account_id: int | None
    organisation_id: str | None
    provider: str | None
    preset: str
    state: RunState
    outcome: Outcome | None
    delivery: DeliveryState | None = Field(
        default=None,
        description="what became of writes that the CMS could not take at once; null when it has got all",
    )
    dry_run: bool
    batch_id: str | None
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    duration_s: float | None
    config_version: int | None
    stages: dict[Stage, StageBody]
    requests: RequestsBody
    of_run_id: str | None = Field(default=None, description="the run that this one approves or takes back")
    plan_hash: str | None = Field(default=None, description="names what waits for a person, see /plan")
    message: str | None
    cause: Cause | None = Field(description="what put it off or ended it, where an error did")


class SyncBody(RunBody):
    """A run while it is watched: `progress` holds the stages that have begun, in their order."""

    model_config = ConfigDict(
        extra="allow",
        json_schema_extra={
            "examples": [
                {
                    **RUN_EXAMPLE,
                    "progress": [{"stage": "games", "done": 12, "total": 40, "records": 610, "eta_s": 7.5}],
                }
            ]
        },
    )

    progress: list[ProgressBody]


class FieldBody(BaseModel):
    name: str = Field(examples=["status"])
    before: Any
    after: Any


class PlannedBody(BaseModel):
    """One record as a plan changes it, field by field."""

    model_config = ConfigDict(extra="allow")

    kind: RecordKind
    record_id: str
    action: Action
    fields: list[FieldBody]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    cause: str = Field(examples=["provider"])


class ChangeBody(PlannedBody):
    """One record that a run wrote; with `applied` false, only would have written."""

    id: int
    run_id: str
    stage: Stage
    applied: bool
    at: datetime


class RefusalBody(PlannedBody):
    """A change that waited for the CMS and that it refused then."""

    run_id: str
    stage: Stage
    reason: str = Field(examples=["gameID must be unique"])
    refused_at: datetime


class AnswerBody(BaseModel):
    """Why a sync does not run: the gate that holds it, in words."""

    model_config = ConfigDict(from_attributes=True)

    gate: str = Field(
        description="paused, no worker, queue, limit, next, spread, delayed, leased, quota, breaker, "
        "worker lost, interrupted, gone, held, schedule paused, no scheduler, scheduled, nothing asked, "
        "or none while it runs",
        examples=["paused"],
    )
    text: str = Field(examples=["The queue syncs is paused by anna at 00:12 UTC; resume it."])
    eta_s: float | None = Field(description="null when a person has to open it, or nobody can tell")
    run_id: str | None = Field(description="the run that it is about")


class EventBody(BaseModel):
    """One line of a timeline."""

    model_config = ConfigDict(from_attributes=True)

    at: datetime
    kind: EventKind
    text: str = Field(examples=["club sync, full: 12 records written"])
    run_id: str | None
    state: str | None = Field(description="of a run that has ended")


class TimelineBody(BaseModel):
    items: list[EventBody]


class Done(BaseModel):
    """What an act came to, in words."""

    detail: str = Field(examples=["nightly is paused."])
    count: int | None = Field(default=None, description="how many things it concerned, where that is known")


class Paged(BaseModel, Generic[T]):
    """Some of a list; ask with `cursor` for what follows, null means there is no more."""

    items: list[T]
    next_cursor: str | None = Field(examples=["WzQyXQ=="])

    @classmethod
    def of(cls, page: Page[Any]) -> Self:
        """A page of documents."""
        return cls.model_validate(page, from_attributes=True)
