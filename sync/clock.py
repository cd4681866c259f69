"""The clock on the wall; tests pass their own."""

from __future__ import annotations

from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        """Aware UTC."""
        return datetime.now(UTC)
