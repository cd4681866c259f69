"""Keeps how the queues do, for the charts: once a minute, from the counts that Redis has for an hour."""

from __future__ import annotations

from collections.abc import Callable

from brokers.operations import Operations
from stores.redis.registry import Registry
from stores.redis.trends import MINUTE_S, Point, Trends

# As many minutes as the broker's counts are kept: what nobody recorded meanwhile is made up for.
MOST_MINUTES = 60


class Recorder:
    """`record` may be called as often as one likes; it acts once a minute."""

    def __init__(
        self, operations: Operations, trends: Trends, registry: Registry, now_s: Callable[[], float]
    ) -> None:
        self._operations = operations
        self._trends = trends
        self._registry = registry
        self._now_s = now_s
        self._recorded: int | None = None

    def record(self) -> None:
        """Keep the minutes that are over and not kept yet. Raises StoreUnavailable and RedisError."""
        this = int(self._now_s() // MINUTE_S)
        last = self._recorded if self._recorded is not None else self._trends.newest_minute()
        missing = MOST_MINUTES if last is None else min(this - 1 - last, MOST_MINUTES)
        if missing < 1:
            return
        self._trends.record(self._points(this, missing))
        for service in self._registry.list():
            self._trends.mark_once(f"clubsync {service.version} started", service.started_at.timestamp())
        self._recorded = this - 1

    def _points(self, this: int, missing: int) -> dict[int, Point]:
        queues = self._operations.queues()
        waiting, dead = sum(queue.depth for queue in queues), sum(queue.dead for queue in queues)
        # The last one that is asked for still runs.
        minutes = self._operations.minutes_of([queue.name for queue in queues], missing + 1)
        counts = [minutes[queue.name][:missing] for queue in queues]
        return {
            this - missing + place: Point(
                enqueued=sum(of_queue[place].get("enqueued", 0) for of_queue in counts),
                done=sum(of_queue[place].get("done", 0) for of_queue in counts),
                died=sum(of_queue[place].get("died", 0) for of_queue in counts),
                waiting=waiting,
                dead=dead,
            )
            for place in range(missing)
        }
