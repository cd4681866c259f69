"""The envelopes of PlayHQ's public API; what is inside is read record by record.

Source: PlayHQ's published OpenAPI document and live-tested notes of public clients, 2026.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Metadata(msgspec.Struct, rename="camel"):
    has_more: bool
    next_cursor: str | int | None = None

    @property
    def cursor(self) -> str:
        """Opaque, empty when there is none; some serializers make a number of one that looks like it."""
        return "" if self.next_cursor is None else str(self.next_cursor)


class Page(msgspec.Struct):
    """A page of a listing: endpoints 1, 2, 3 and 7."""

    data: list[Any]
    metadata: Metadata


class UnpagedList(msgspec.Struct):
    """Open registrations (endpoint 12), which come in one piece."""

    data: list[Any]


class GradeGames(msgspec.Struct, rename="camel"):
    """The whole fixture of a grade, version 2 (endpoint 4)."""

    rounds: list[Any]
    teams: list[Any] | None = None
    playing_surfaces: list[Any] | None = None


class GradeLadders(msgspec.Struct):
    """The ladders of a grade, version 2 (endpoint 5)."""

    ladders: list[Any] | None


class OldGradeLadders(msgspec.Struct):
    """The ladders of a grade, version 1 (endpoint 8)."""

    data: dict[str, Any]
