"""The service registry: which processes live, seen by their heartbeats.

Each process has a key that expires when it no longer beats; a sorted set of ids, by
expiry, lists them without a scan. Another one remembers those that fell silent.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering
from sync.errors import StoreUnavailable
from sync.ports import Clock

# Five missed beats: a busy process is not taken for dead.
LIFETIME_S = 10.0
BEAT_EVERY_S = 2.0
# Who asks when something was wrong comes within a day.
SILENT_KEPT_S = 24 * 3600

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A process; `load` holds what its role counts, as `{"busy": 3, "slots": 32}`.

    `state` is "running", or what it waits for; `queues` are those that a worker serves.
    """

    id: str
    role: str
    host: str
    pid: int
    version: str
    started_at: datetime
    config_version: int | None = None
    state: str = "running"
    load: Mapping[str, float] = field(default_factory=dict)
    queues: tuple[str, ...] = ()
    queues_without_actor: tuple[str, ...] = ()
    seen_at: datetime | None = None


def describe_process(role: str, clock: Clock) -> Service:
    """This process as the registry shows it."""
    host, pid = socket.gethostname(), os.getpid()
    return Service(
        id=f"{role}:{host}:{pid}",
        role=role,
        host=host,
        pid=pid,
        version=version("clubsync"),
        started_at=clock.now(),
    )


class Registry:
    def __init__(self, client: redis.Redis, namespace: str, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self._ids = f"{{{namespace}}}:services"

    def beat(self, service: Service) -> None:
        """Say that the process lives, and how it does; the first beat registers it.

        Raises StoreUnavailable.
        """
        now = self._clock.now()
        entry = msgspec.json.encode(dataclasses.replace(service, seen_at=now))
        with answering(), self._client.pipeline() as pipeline:
            pipeline.set(self._key(service.id), entry, px=round(LIFETIME_S * 1000))
            pipeline.zadd(self._ids, {service.id: now.timestamp() + LIFETIME_S})
            pipeline.zrem(self._silent, service.id)
            pipeline.execute()

    def remove(self, service_id: str) -> None:
        """Take an ending process off the list at once. Raises StoreUnavailable."""
        with answering(), self._client.pipeline() as pipeline:
            pipeline.delete(self._key(service_id))
            pipeline.zrem(self._ids, service_id)
            pipeline.execute()

    def list(self) -> Sequence[Service]:
        """The living processes by role and start. Raises StoreUnavailable."""
        with answering():
            members: Any = self._client.zrange(self._ids, 0, -1)
            ids = [member.decode() for member in members]
            if not ids:
                return []
            entries = self._client.mget([self._key(service_id) for service_id in ids])
            if gone := [service_id for service_id, entry in zip(ids, entries, strict=True) if entry is None]:
                # A full Redis takes no note of them; whoever looks must see the others all the same.
                with contextlib.suppress(redis.OutOfMemoryError):
                    self._forget(gone)
        living = [msgspec.json.decode(entry, type=Service) for entry in entries if entry is not None]
        return sorted(living, key=lambda service: (service.role, service.started_at, service.id))

    def living(self) -> frozenset[str]:
        """The ids of the living processes. Raises StoreUnavailable."""
        return frozenset(service.id for service in self.list())

    def silent(self, within_s: float) -> Mapping[str, datetime]:
        """What stopped to beat in the last `within_s` without saying so, and when `list` saw it."""
        since_s = self._clock.now().timestamp() - within_s
        with answering():
            found: Any = self._client.zrangebyscore(self._silent, since_s, "+inf", withscores=True)
        return {service_id.decode(): datetime.fromtimestamp(at_s, UTC) for service_id, at_s in found}

    def _forget(self, gone: Sequence[str]) -> None:
        now_s = self._clock.now().timestamp()
        with self._client.pipeline() as pipeline:
            pipeline.zrem(self._ids, *gone)
            pipeline.zadd(self._silent, dict.fromkeys(gone, now_s))
            pipeline.zremrangebyscore(self._silent, "-inf", now_s - SILENT_KEPT_S)
            pipeline.execute()

    @property
    def _silent(self) -> str:
        return f"{self._ids}:silent"

    def _key(self, service_id: str) -> str:
        return f"{self._ids}:{service_id}"


class Heartbeat:
    """Beats for this process from a thread of its own until it is stopped.

    A Redis that does not answer costs beats, never the process.
    """

    def __init__(self, registry: Registry, describe: Callable[[], Service], *, every_s: float) -> None:
        self._registry = registry
        self._describe = describe
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the beats and take the process off the list."""
        self._stopping.set()
        self._thread.join()
        try:
            self._registry.remove(self._describe().id)
        except StoreUnavailable as error:
            _log.warning("service_not_removed", extra={"reason": str(error)})

    def _run(self) -> None:
        while True:
            try:
                self._registry.beat(self._describe())
            except StoreUnavailable as error:
                _log.warning("heartbeat_missed", extra={"reason": str(error)})
            if self._stopping.wait(self._every_s):
                return
