"""How fast one worker process empties a queue of jobs that do nothing."""

from __future__ import annotations

import time

from benchmarks.broker.arena import POLL_S, Arena, wait_until
from benchmarks.broker.contestants import CHAIN, OURS, OURS_THREADS, STOCK, STOCK_THREADS, Contestant, message
from benchmarks.broker.report import Row, median_figure
from brokers.redis import PriorityRedisBroker

THREADS = 8
US_PER_S = 1_000_000
DEADLINE_S = 120.0


def measure(url: str, count: int, rounds: int) -> list[Row]:
    contestants = (STOCK, OURS, CHAIN, STOCK_THREADS, OURS_THREADS)
    drains: dict[str, list[tuple[float, float]]] = {contestant.label: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            drains[contestant.label].append(drain(contestant, url, count))
    rates = tuple(median_figure(label, [rate for rate, _ in some]) for label, some in drains.items())
    cpu = tuple(median_figure(label, [cpu_us for _, cpu_us in some]) for label, some in drains.items())
    return [
        Row("drain no-ops, one process", "messages/s", rates, must="2.5 x, aim 3.4 x"),
        Row("drain no-ops, CPU of the worker", "us", cpu, is_rate=False),
    ]


def drain(contestant: Contestant, url: str, count: int) -> tuple[float, float]:
    """Messages a second from the first acknowledged one to the last, and CPU microseconds a message."""
    arena = Arena(contestant, url)
    fill(arena, count)
    with arena.worker(threads=THREADS) as worker:
        wait_until(lambda: arena.unfinished() < count, DEADLINE_S, poll_s=POLL_S / 5)
        first_count, start_s, start_cpu_s = arena.unfinished(), time.perf_counter(), worker.cpu_s()
        wait_until(lambda: arena.unfinished() == 0, DEADLINE_S)
        took_s, cpu_s = time.perf_counter() - start_s, worker.cpu_s() - start_cpu_s
    arena.close()
    return first_count / took_s, cpu_s / first_count * US_PER_S


def fill(arena: Arena, count: int) -> None:
    """Put jobs that do nothing on the queue, as fast as the contestant can."""
    messages = [message("nothing", number=number) for number in range(count)]
    if isinstance(arena.sender, PriorityRedisBroker):
        arena.sender.enqueue_many(messages)
    else:
        for one in messages:
            arena.sender.enqueue(one)
