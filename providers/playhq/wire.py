"""The envelopes of PlayHQ's public API; what is inside is read record by record.

Source: PlayHQ's published OpenAPI document and live-tested notes of public clients, 2026.
"""

from __future__ import annotations

from typing import Any

import msgspec

from providers.envelope import Envelope
from providers.payload import truth


class Metadata(msgspec.Struct, rename="camel"):
    """Raises ValueError, which msgspec tells as a broken contract, for what is neither an end nor none."""

    has_more: bool | str | int
    next_cursor: str | int | None = None

    def __post_init__(self) -> None:
        said = truth(self.has_more)
        if said is None:
            raise ValueError("`hasMore` is neither true nor false")
        self.has_more = said

    @property
    def cursor(self) -> str:
        """Opaque, empty when there is none; some serializers make a number of one that looks like it."""
        return "" if self.next_cursor is None else str(self.next_cursor)


class Page(Envelope, kw_only=True):
    """A page of a listing: endpoints 1, 2, 3 and 7."""

    data: list[Any]
    metadata: Metadata


class UnpagedList(Envelope, kw_only=True):
    """Open registrations (endpoint 12), which come in one piece."""

    data: list[Any]


class GradeGames(Envelope, rename="camel", kw_only=True):
    """The whole fixture of a grade, version 2 (endpoint 4)."""

    rounds: list[Any]
    teams: list[Any] | None = None
    playing_surfaces: list[Any] | None = None


class GradeLadders(Envelope, kw_only=True):
    """The ladders of a grade, version 2 (endpoint 5)."""

    ladders: list[Any] | None


class OldGradeLadders(Envelope, kw_only=True):
    """The ladders of a grade, version 1 (endpoint 8)."""

    data: dict[str, Any]
