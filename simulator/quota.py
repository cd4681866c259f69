"""A provider's rate limit: so many requests of a key within any one second, 429 beyond."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from simulator.mishaps import throttled
from simulator.server import Answer
from simulator.stats import most_within

_LOG_LENGTH = 200_000


@dataclass(slots=True)
class _Use:
    allowed_at: deque[float] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))
    arrived_at: deque[float] = field(default_factory=lambda: deque(maxlen=_LOG_LENGTH))
    refused: int = 0


class Quota:
    """`requests_per_s` None allows everything and still keeps the log."""

    def __init__(self) -> None:
        self.configure()

    def configure(
        self,
        requests_per_s: int | None = None,
        retry_after: str = "seconds",
        retry_after_s: float = 1.0,
    ) -> None:
        """Set the limit and forget what was used."""
        self._requests_per_s = requests_per_s
        self._retry_after = retry_after
        self._retry_after_s = retry_after_s
        self._uses: dict[str, _Use] = {}

    def refuse(self, key: str, at_s: float) -> Answer | None:
        """The 429 of a request beyond the limit; None lets it pass."""
        use = self._uses.setdefault(key, _Use())
        use.arrived_at.append(at_s)
        limit = self._requests_per_s
        if limit is not None and len(use.allowed_at) >= limit and at_s - use.allowed_at[-limit] < 1.0:
            use.refused += 1
            return throttled(self._retry_after, self._retry_after_s)
        use.allowed_at.append(at_s)
        return None

    def shape(self) -> dict[str, Any]:
        """`max_in_1s` is the most requests of a key that arrived within one second, refused ones too."""
        return {
            "requests_per_s": self._requests_per_s,
            "keys": {
                key: {
                    "arrived": len(use.arrived_at),
                    "refused": use.refused,
                    "max_in_1s": most_within(list(use.arrived_at)),
                    "arrived_at_s": list(use.arrived_at),
                }
                for key, use in self._uses.items()
            },
        }
