"""Live progress of runs in Redis: the latest of each stage."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering
from sync.ports import Progressed
from sync.report import Stage

_KEPT_S = 24 * 3600

_log = logging.getLogger(__name__)


class Progress:
    """Satisfies `sync.ports.Progress`."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:progress:"

    def publish(self, event: Progressed) -> None:
        """Best effort: a run does not fail because nobody can watch it."""
        latest = self._latest(event.run_id)
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.hset(latest, event.stage.value, msgspec.json.encode(event))
                pipeline.expire(latest, _KEPT_S)
                pipeline.incr(self._published)
                pipeline.execute()
        except redis.RedisError as error:
            _log.warning("progress_not_published", extra={"run_id": event.run_id, "reason": str(error)})

    def published(self) -> int:
        """How many events were ever published; another number, something new. Raises StoreUnavailable."""
        with answering():
            number: Any = self._client.get(self._published)
        return int(number or 0)

    def read(self, run_id: str) -> Mapping[Stage, Progressed]:
        """How far each stage is that has begun. Raises StoreUnavailable."""
        with answering():
            latest: Any = self._client.hgetall(self._latest(run_id))
        events = [msgspec.json.decode(event, type=Progressed) for event in latest.values()]
        return {event.stage: event for event in events}

    @property
    def _published(self) -> str:
        return f"{self._prefix}published"

    def _latest(self, run_id: str) -> str:
        return f"{self._prefix}{run_id}"
