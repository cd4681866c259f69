"""What fifty worker processes cost that connect at once: nobody fails, and a message costs no more."""

from __future__ import annotations

import multiprocessing
import signal
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Event
from typing import Any

import dramatiq
from dramatiq.middleware import default_middleware

from benchmarks.broker.arena import wait_until
from benchmarks.broker.report import Figure, Row
from benchmarks.broker.scaling import script_us
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker

CROWD = 50
THREADS = 8
MEASURED = 5000
IDLE_S = 10.0
DEADLINE_S = 120.0


def measure(url: str) -> list[Row]:
    alone, crowd = (_crowd(url, number) for number in (1, CROWD))
    labels = ("ours, 1 process", f"ours, {CROWD} processes")

    def row(what: str, unit: str, which: int, must: str) -> Row:
        figures = tuple(
            Figure(label, found[which]) for label, found in zip(labels, (alone, crowd), strict=True)
        )
        return Row(what, unit, figures, must=must, is_rate=False)

    return [
        row("processes that connect at once: all are known after", "s", 0, ""),
        row("idle: Redis commands a process", "1/s", 1, "<= 2"),
        row("a message's time on the server, by worker processes", "us", 2, "flat"),
    ]


def _crowd(url: str, number: int) -> tuple[float, float, float]:
    """Seconds until all are known, idle commands a second and process, script us a message."""
    broker = _open(url, f"b{uuid.uuid4().hex[:8]}")
    with closing(broker):
        known = Operations(broker)
        with _workers(url, broker.namespace, number) as start:
            start_s = time.monotonic()
            start.set()
            wait_until(lambda: len(known.workers()) == number, DEADLINE_S)
            took_s = time.monotonic() - start_s
            time.sleep(2.0)  # the last ones have fetched once, and wait
            before = _commands(broker)
            time.sleep(IDLE_S)
            per_s = (_commands(broker) - before - 1) / IDLE_S / number
            spent_us = script_us(broker)
            broker.enqueue_many(dramatiq.Message("default", "nothing", (), {}, {}) for _ in range(MEASURED))
            sent_us = script_us(broker)
            wait_until(lambda: known.ledger("default").done == MEASURED, DEADLINE_S, poll_s=0.2)
            us = script_us(broker) - sent_us
        assert spent_us <= sent_us
        broker.flush_all()
    return took_s, per_s, us / MEASURED


@contextmanager
def _workers(url: str, namespace: str, number: int) -> Iterator[Event]:
    """Processes that wait for the event, then all boot a Worker."""
    context = multiprocessing.get_context("fork")
    start = context.Event()
    crowd = [context.Process(target=_work, args=(url, namespace, start), daemon=True) for _ in range(number)]
    for process in crowd:
        process.start()
    try:
        yield start
    finally:
        for process in crowd:
            process.terminate()
        for process in crowd:
            process.join()


def _work(url: str, namespace: str, start: Event) -> None:
    stopped = False

    def stop(*_: object) -> None:
        nonlocal stopped
        stopped = True

    signal.signal(signal.SIGTERM, stop)
    broker = _open(url, namespace)
    start.wait(DEADLINE_S)
    worker = dramatiq.Worker(broker, worker_threads=THREADS)
    worker.start()
    while not stopped:
        time.sleep(0.1)
    worker.stop()
    broker.close()


def _open(url: str, namespace: str) -> PriorityRedisBroker:
    broker = PriorityRedisBroker(
        url=url, namespace=namespace, middleware=[make() for make in default_middleware]
    )

    @dramatiq.actor(broker=broker)
    def nothing() -> None:
        """The cost of a message and of nothing else."""

    return broker


def _commands(broker: PriorityRedisBroker) -> int:
    stats: Any = broker.client.info("stats")
    return int(stats["total_commands_processed"])
