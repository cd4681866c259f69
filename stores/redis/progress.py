"""Live progress of runs in Redis: the latest of each stage, and a short stream to follow."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering
from sync.ports import Progressed
from sync.report import Stage

_KEPT_S = 24 * 3600
_EVENTS_KEPT = 500

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Followed:
    """Events since a place in the stream, and the place to go on from."""

    events: Sequence[Progressed]
    last_id: str


class Progress:
    """Satisfies `sync.ports.Progress`."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:progress:"

    def publish(self, event: Progressed) -> None:
        """Best effort: a run does not fail because nobody can watch it."""
        latest, stream = self._keys(event.run_id)
        encoded = msgspec.json.encode(event)
        try:
            with self._client.pipeline(transaction=False) as pipeline:
                pipeline.hset(latest, event.stage.value, encoded)
                pipeline.expire(latest, _KEPT_S)
                pipeline.xadd(stream, {"event": encoded}, maxlen=_EVENTS_KEPT, approximate=True)
                pipeline.expire(stream, _KEPT_S)
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
            latest: Any = self._client.hgetall(self._keys(run_id)[0])
        events = [msgspec.json.decode(event, type=Progressed) for event in latest.values()]
        return {event.stage: event for event in events}

    def follow(self, run_id: str, *, after_id: str = "0", wait_s: float) -> Followed:
        """Events later than `after_id`; waits up to `wait_s` for the first, then may answer none."""
        wait_ms = max(1, round(wait_s * 1000))  # redis: 0 would wait for ever
        answer: Any = self._client.xread({self._keys(run_id)[1]: after_id}, block=wait_ms)
        entries = [entry for _, entries in answer for entry in entries] if answer else []
        events = [msgspec.json.decode(fields[b"event"], type=Progressed) for _, fields in entries]
        return Followed(events, entries[-1][0].decode() if entries else after_id)

    @property
    def _published(self) -> str:
        return f"{self._prefix}published"

    def _keys(self, run_id: str) -> tuple[str, str]:
        return f"{self._prefix}{run_id}", f"{self._prefix}{run_id}:events"
