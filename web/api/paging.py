"""The query parameters of every list."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ListQuery(BaseModel):
    """Which page; a parameter that no list knows is a mistake, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: int = Field(default=50, ge=1, le=200, description="how many at most")
    cursor: str | None = Field(
        default=None, max_length=500, description="`next_cursor` of the page before; left out, the first page"
    )
