"""Whose turn it is to look: one process an interval, by the clock of Redis."""

from __future__ import annotations

from typing import Any

from redis import Redis

from stores.redis.errors import answering

# Longer than any interval; a mark that is gone only allows a look.
KEPT_S = 7 * 24 * 3600


class Looks:
    def __init__(self, client: Redis, namespace: str) -> None:
        self._client = client
        self._key = f"{{{namespace}}}:alerts:looked"

    def claim(self, every_s: float) -> bool:
        """Whether the caller is the first of this interval; a clock that was set back starts another one.

        Raises StoreUnavailable.
        """
        with answering():
            now_s, _ = self._client.time()
            number = int(now_s // every_s)
            before: Any = self._client.set(self._key, number, get=True, ex=KEPT_S)
        return before is None or int(before) != number
