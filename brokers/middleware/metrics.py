"""Counts what happens to messages, in this process, and adds it to Redis every second.

A hook only appends to a deque (some 100 ns); a background thread does the sums. What could
not be flushed is kept and flushed later. `brokers.metrics` reads the totals.
"""

from __future__ import annotations

import atexit
import logging
import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from typing import Any

import redis
from dramatiq.broker import Broker, MessageProxy
from dramatiq.message import Message
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from brokers.metrics import BOUNDS_S, Series, metrics_key
from sync.errors import DeferredError

FLUSH_EVERY_S = 1.0
STOP_DEADLINE_S = 2.0

logger = logging.getLogger(__name__)

Event = tuple[str, str, str, float | None, float | None]


class Metrics(Middleware):
    """Counters and histograms per queue and actor; counting starts with the first event."""

    def __init__(self, client: redis.Redis, *, namespace: str, flush_every_s: float = FLUSH_EVERY_S) -> None:
        self._client = client
        self._key = metrics_key(namespace)
        self._flush_every_s = flush_every_s
        self._events: deque[Event] = deque()
        self._started_s: dict[str, float] = {}
        self._counts: Counter[str] = Counter()
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._flushing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def after_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        if _is_first_try(message) and "coalesced_with" not in message.options:
            self._note(message, "sent")

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        now_s = self._started_s[message.message_id] = time.time()
        wait_s = None
        if _is_first_try(message):
            wait_s = now_s - message.options.get("due_at_ms", message.message_timestamp) / 1000
        self._note(message, "started", wait_s=wait_s)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        # Retries stands later in the chain, so its verdict is known here.
        if exception is None:
            outcome = "done"
        elif message.failed:
            outcome = "failed"
        else:
            outcome = "deferred" if isinstance(exception, DeferredError) else "retried"
        started_s = self._started_s.pop(message.message_id, None)
        self._note(message, outcome, run_s=time.time() - started_s if started_s else None)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self._started_s.pop(message.message_id, None)
        self._note(message, "skipped")

    def after_nack(self, broker: Broker, message: MessageProxy) -> None:
        self._note(message, "dead")

    def after_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.stop()

    def flush(self) -> None:
        """Add everything counted so far to the totals. Raises redis.RedisError, losing nothing."""
        with self._flushing:
            self._sum_up()
            if not self._counts:
                return
            pipeline = self._client.pipeline(transaction=True)
            for field, count in self._counts.items():
                pipeline.hincrby(self._key, field, count)
            for field, total in self._sums.items():
                pipeline.hincrbyfloat(self._key, field, total)
            pipeline.execute()
            self._counts.clear()
            self._sums.clear()

    def stop(self) -> None:
        """Flush for the last time; nothing is flushed by itself afterwards."""
        self._stopping.set()
        if self._thread:
            self._thread.join(STOP_DEADLINE_S)

    def _note(
        self,
        message: Message[Any] | MessageProxy,
        event: str,
        *,
        wait_s: float | None = None,
        run_s: float | None = None,
    ) -> None:
        self._events.append((message.queue_name, message.actor_name, event, wait_s, run_s))
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        self._thread = threading.Thread(target=self._flush_regularly, name="metrics", daemon=True)
        self._thread.start()
        atexit.register(self.stop)  # senders are short-lived: their last second counts too

    def _flush_regularly(self) -> None:
        is_last = False
        while not is_last:
            is_last = self._stopping.wait(self._flush_every_s)
            try:
                self.flush()
            except redis.RedisError as error:
                logger.warning("metrics_not_flushed", extra={"error": str(error)})

    def _sum_up(self) -> None:
        for _ in range(len(self._events)):
            queue, actor, event, wait_s, run_s = self._events.popleft()
            series = Series(queue, actor)
            self._counts[series.field(event)] += 1
            for name, value in (("wait", wait_s), ("run", run_s)):
                if value is not None:
                    self._counts[series.field(name, bisect_left(BOUNDS_S, value))] += 1
                    self._sums[series.field(f"{name}_sum")] += max(value, 0.0)


def _is_first_try(message: Message[Any] | MessageProxy) -> bool:
    return "retries" not in message.options and "deferrals" not in message.options
