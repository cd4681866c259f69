"""What a message costs the server as backlogs and queues grow: it must stay flat."""

from __future__ import annotations

import itertools
import threading
import uuid
from contextlib import closing
from typing import Any

import dramatiq
from dramatiq.middleware import default_middleware

from benchmarks.broker.report import Figure, Row
from brokers.redis import PriorityRedisBroker

FEW = 3000
MEASURED = 2000
MANY_QUEUES = 200
THREADS = 8
DEADLINE_S = 120.0
CHUNK = 10_000


def measure(url: str, backlog: int) -> Row:
    figures = (
        Figure(f"ours, {FEW:,} waiting", _server_us(url, FEW, queues=1)),
        Figure(f"ours, {backlog:,} waiting", _server_us(url, backlog, queues=1)),
        Figure(f"ours, {FEW:,} waiting in {MANY_QUEUES} queues", _server_us(url, FEW, queues=MANY_QUEUES)),
    )
    return Row("a message's time on the server, from fetch to ack", "us", figures, must="flat", is_rate=False)


def _server_us(url: str, waiting: int, *, queues: int) -> float:
    """Microseconds of script time a message, over the first `MEASURED` of those that wait."""
    broker = PriorityRedisBroker(
        url=url, namespace=f"b{uuid.uuid4().hex[:8]}", middleware=[make() for make in default_middleware]
    )
    with closing(broker):
        enough = threading.Event()
        done = itertools.count(1)

        def nothing() -> None:
            if next(done) == MEASURED:
                enough.set()

        names = [f"q{number}" for number in range(queues)]
        for name in names:
            dramatiq.actor(broker=broker, actor_name=name, queue_name=name)(nothing)
        targets = itertools.cycle(names)
        for first in range(0, waiting, CHUNK):
            count = min(CHUNK, waiting - first)
            broker.enqueue_many(
                dramatiq.Message(name, name, (), {}, {}) for name in itertools.islice(targets, count)
            )
        before = script_us(broker)
        worker = dramatiq.Worker(broker, worker_threads=THREADS)
        worker.start()
        enough.wait(DEADLINE_S)
        spent = script_us(broker) - before
        worker.stop()
        broker.flush_all()
    return spent / MEASURED


def script_us(broker: PriorityRedisBroker) -> float:
    """Microseconds that the server has spent in our functions so far."""
    stats: Any = broker.client.info("commandstats")
    return float(stats.get("cmdstat_fcall", {}).get("usec", 0))
