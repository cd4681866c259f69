"""Who did what, when, and through which way in."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from web.access import Operator
from web.api.paging import ListQuery
from web.api.shapes import Paged
from web.services import Has

router = APIRouter(prefix="/audit", tags=["operations"])


class AuditBody(BaseModel):
    id: int
    at: datetime
    actor: str = Field(examples=["on-call"])
    source: str = Field(description="the way in", examples=["api"])
    action: str = Field(examples=["pause_queue"])
    subject: str | None = Field(examples=["queue:syncs"])
    detail: dict[str, Any]


class AuditQuery(ListQuery):
    subject: str | None = Field(default=None, max_length=200, examples=["account:42"])


@router.get("", summary="List what was done")
def list_audit(_caller: Operator, services: Has, query: Annotated[AuditQuery, Query()]) -> Paged[AuditBody]:
    """Newest first; lines are only ever appended."""
    page = services.stores.audit.list(limit=query.limit, cursor=query.cursor, subject=query.subject)
    return Paged[AuditBody].of(page.map(asdict))
