"""Redis's clock, read now and then: one time for all processes, whatever happens to their own clocks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import redis

from stores.redis.errors import answering

# An answer that took longer says too little about when it was given.
LONGEST_TRIP_S = 0.5


class RedisClock:
    """Satisfies `sync.ports.Clock`. Between two readings `monotonic` seconds count.

    Starts with this machine's own time; the first reading corrects it.
    """

    def __init__(self, client: redis.Redis, monotonic: Callable[[], float]) -> None:
        self._client = client
        self._monotonic = monotonic
        self._reading = (datetime.now(UTC), monotonic())

    def now(self) -> datetime:
        at, read_at = self._reading
        return at + timedelta(seconds=self._monotonic() - read_at)

    def read(self) -> None:
        """Ask Redis; a slow answer changes nothing. Raises StoreUnavailable."""
        asked_at = self._monotonic()
        with answering():
            seconds, microseconds = self._client.time()
        trip_s = self._monotonic() - asked_at
        if trip_s <= LONGEST_TRIP_S:
            at = datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds)
            self._reading = (at, asked_at + trip_s / 2)
