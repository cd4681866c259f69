"""Checkpoints in Redis: which units of a run are done, so that a killed run goes on from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering

# Longer than any run or repair of one takes; then the memory is wanted back.
_KEPT_S = 7 * 24 * 3600


class Checkpoints:
    """Satisfies `sync.ports.Checkpoints`; a hash for each run, a field for each unit.

    Raises StoreUnavailable.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:checkpoints:"

    def is_done(self, run_id: str, unit: str) -> bool:
        with answering():
            return bool(self._client.hexists(self._prefix + run_id, unit))

    def mark_done(self, run_id: str, unit: str, result: Mapping[str, Any]) -> None:
        self.mark_all_done(run_id, {unit: result})

    def mark_all_done(self, run_id: str, results: Mapping[str, Mapping[str, Any]]) -> None:
        """As `mark_done`, many units with their results at once."""
        encoded: dict[Any, Any] = {unit: msgspec.json.encode(result) for unit, result in results.items()}
        with answering(), self._client.pipeline() as pipeline:
            pipeline.hset(self._prefix + run_id, mapping=encoded)
            pipeline.expire(self._prefix + run_id, _KEPT_S)
            pipeline.execute()

    def done(self, run_id: str) -> Mapping[str, Mapping[str, Any]]:
        with answering():
            units: Any = self._client.hgetall(self._prefix + run_id)
        return {unit.decode(): msgspec.json.decode(result) for unit, result in units.items()}

    def forget(self, run_id: str) -> None:
        """Make the run start clean."""
        with answering():
            self._client.delete(self._prefix + run_id)
