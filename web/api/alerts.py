"""What is wrong, and what was: incidents with their alerts."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from stores.sql.documents import incident_document
from sync.causes import Party
from sync.incident import Severity
from web.access import Reader
from web.api.paging import ListQuery
from web.api.shapes import Paged
from web.problems import documented
from web.services import Has

router = APIRouter(prefix="/alerts", tags=["operations"])


class AlertBody(BaseModel):
    """One thing that is wrong."""

    kind: str = Field(examples=["paused"])
    severity: Severity
    what: str = Field(examples=["syncs is paused, perhaps by mistake: 12 wait in syncs."])
    step: str = Field(description="what to do next", examples=["`clubsync queues resume syncs`"])
    since: datetime


class IncidentBody(BaseModel):
    """Everything that is wrong with one subject; `resolved_at` is null while it is open."""

    id: str = Field(examples=["0a4c3a0e31a44a398a4c9a4f6dd2b111"])
    subject: str = Field(examples=["queue:syncs"])
    severity: Severity = Field(description="the worst it has been")
    state: Literal["open", "resolved"]
    party: Party | None = Field(description="whose side it is on, where that is known")
    what: str
    count: int = Field(description="failures that it stands for")
    flaps: int = Field(description="how often it came back")
    opened_at: datetime
    seen_at: datetime
    resolved_at: datetime | None
    alerts: list[AlertBody]


class AlertQuery(ListQuery):
    state: Literal["open", "all"] = "open"


@router.get("", summary="List incidents")
def list_alerts(_caller: Reader, services: Has, query: Annotated[AlertQuery, Query()]) -> Paged[IncidentBody]:
    """The latest first; only open ones unless `state` is `all`."""
    page = services.stores.incidents.list(
        limit=query.limit, cursor=query.cursor, open_only=query.state == "open"
    )
    return Paged[IncidentBody].of(page.map(incident_document))


@router.get("/{incident_id}", summary="Show an incident", responses=documented(HTTPStatus.NOT_FOUND))
def show_alert(_caller: Reader, services: Has, incident_id: str) -> IncidentBody:
    """One incident, open or over."""
    return IncidentBody.model_validate(incident_document(services.stores.incidents.find(incident_id)))
