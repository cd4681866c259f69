"""Counts what happens to messages, in this process, and adds it to Redis every second.

A hook costs well under a microsecond: it appends a number to a deque, which no other thread
can spoil; a background thread does the sums. What could not be flushed is kept and flushed
later. `brokers.metrics` reads the totals, `brokers.latency` how long syncs took and when.
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

from brokers.latency import SYNC_QUEUES, LatencyNotes
from brokers.metrics import BOUNDS_S, Series, metrics_key
from sync.errors import DeferredError

FLUSH_EVERY_S = 1.0
STOP_DEADLINE_S = 2.0

logger = logging.getLogger(__name__)

NO_TIME = -1.0  # counted, but not timed


class Notes:
    """What happened to one series since the last sum: for each event, the seconds it took."""

    def __init__(self) -> None:
        self.by_event: defaultdict[str, deque[float]] = defaultdict(deque)
        self.note_start = self.by_event["started"].append
        self.note_done = self.by_event["done"].append


class Metrics(Middleware):
    """Counters and histograms per queue and actor; counting starts with the first event."""

    def __init__(self, client: redis.Redis, *, namespace: str, flush_every_s: float = FLUSH_EVERY_S) -> None:
        self._client = client
        self._key = metrics_key(namespace)
        self._flush_every_s = flush_every_s
        self._notes: dict[tuple[str, str], Notes] = {}
        self._running: dict[int, tuple[Notes, float]] = {}
        self._counts: Counter[str] = Counter()
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._latency = LatencyNotes(namespace)
        self._flushing = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def after_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        if _is_first_try(message) and "coalesced_with" not in message.options:
            self._notes_of(message).by_event["sent"].append(NO_TIME)

    def before_process_message(self, broker: Broker, message: MessageProxy) -> None:
        inner = message._message  # noqa: SLF001 - each attribute read through the proxy costs 0.4 us
        notes = self._notes_of(inner)
        now_s = time.time()
        self._running[id(message)] = (notes, now_s)
        is_first = _is_first_try(inner)
        due_s = inner.options.get("due_at_ms", inner.message_timestamp) / 1000
        notes.note_start(max(now_s - due_s, 0.0) if is_first else NO_TIME)

    def after_process_message(
        self,
        broker: Broker,
        message: MessageProxy,
        *,
        result: Any = None,
        exception: BaseException | None = None,
    ) -> None:
        notes, started_s = self._running.pop(id(message))
        run_s = time.time() - started_s
        if exception is None:
            notes.note_done(run_s)
        elif message.failed:  # Retries stands later in the chain, so its verdict is known here
            notes.by_event["failed"].append(run_s)
        else:
            event = "deferred" if isinstance(exception, DeferredError) else "retried"
            notes.by_event[event].append(run_s)

    def after_skip_message(self, broker: Broker, message: MessageProxy) -> None:
        self._running.pop(id(message), None)
        self._notes_of(message).by_event["skipped"].append(NO_TIME)

    def after_nack(self, broker: Broker, message: MessageProxy) -> None:
        self._notes_of(message).by_event["dead"].append(NO_TIME)

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
            self._latency.put(pipeline)
            pipeline.execute()
            self._counts.clear()
            self._sums.clear()
            self._latency.forget()

    def stop(self) -> None:
        """Flush for the last time; nothing is flushed by itself afterwards."""
        self._stopping.set()
        if self._thread:
            self._thread.join(STOP_DEADLINE_S)

    def _notes_of(self, message: Message[Any] | MessageProxy) -> Notes:
        series = (message.queue_name, message.actor_name)
        notes = self._notes.get(series)
        if notes is None:
            notes = self._notes.setdefault(series, Notes())
        if self._thread is None:
            self._start()
        return notes

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
        for names, notes in list(self._notes.items()):
            series = Series(*names)
            for event, times_s in list(notes.by_event.items()):
                taken = [times_s.popleft() for _ in range(len(times_s))]
                if taken:
                    self._counts[series.field(event)] += len(taken)
                    self._add_up(series, "wait" if event == "started" else "run", taken)

    def _add_up(self, series: Series, name: str, taken: list[float]) -> None:
        timed = [seconds for seconds in taken if seconds != NO_TIME]
        buckets = Counter(bisect_left(BOUNDS_S, seconds) for seconds in timed)
        for bucket, count in buckets.items():
            self._counts[series.field(name, bucket)] += count
        if timed:
            self._sums[series.field(f"{name}_sum")] += sum(timed)
        if series.queue in SYNC_QUEUES:
            self._latency.note(name, buckets, time.time())


def _is_first_try(message: Message[Any] | MessageProxy) -> bool:
    return "retries" not in message.options and "deferrals" not in message.options
