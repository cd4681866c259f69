"""The query parameters of every list."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator


class ListQuery(BaseModel):
    """Which page; a parameter that no list knows is a mistake, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_empty(cls, given: Any) -> Any:
        # A browser's form sends every field; what was left empty counts as left out.
        return (
            {name: value for name, value in given.items() if value != ""}
            if isinstance(given, dict)
            else given
        )

    limit: int = Field(default=50, ge=1, le=200, description="how many at most")
    cursor: str | None = Field(
        default=None, max_length=500, description="`next_cursor` of the page before; left out, the first page"
    )
