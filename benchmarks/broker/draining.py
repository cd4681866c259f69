"""How fast one worker process empties a queue of jobs that do nothing."""

from __future__ import annotations

import time

from benchmarks.broker.arena import POLL_S, Arena, wait_until
from benchmarks.broker.contestants import CHAIN, OURS, OURS_THREADS, STOCK, STOCK_THREADS, Contestant, message
from benchmarks.broker.report import Row, median_figure
from brokers.redis import PriorityRedisBroker

THREADS = 8
BATCH = 5000
DEADLINE_S = 120.0


def measure(url: str, count: int, rounds: int) -> Row:
    contestants = (STOCK, OURS, CHAIN, STOCK_THREADS, OURS_THREADS)
    rates: dict[str, list[float]] = {contestant.label: [] for contestant in contestants}
    for _ in range(rounds):
        for contestant in contestants:
            rates[contestant.label].append(drain(contestant, url, count))
    figures = tuple(median_figure(label, values) for label, values in rates.items())
    return Row("drain no-ops, one process", "messages/s", figures, must="2.5 x, aim 3.4 x")


def drain(contestant: Contestant, url: str, count: int) -> float:
    """Messages a second from the first acknowledged one to the last."""
    arena = Arena(contestant, url)
    fill(arena, count)
    with arena.worker(threads=THREADS):
        wait_until(lambda: arena.unfinished() < count, DEADLINE_S, poll_s=POLL_S / 5)
        first_count, start_s = arena.unfinished(), time.perf_counter()
        wait_until(lambda: arena.unfinished() == 0, DEADLINE_S)
        rate = first_count / (time.perf_counter() - start_s)
    arena.close()
    return rate


def fill(arena: Arena, count: int) -> None:
    """Put jobs that do nothing on the queue, as fast as the contestant can."""
    messages = [message("nothing", number=number) for number in range(count)]
    if isinstance(arena.sender, PriorityRedisBroker):
        arena.sender.enqueue_many(messages)
    else:
        for one in messages:
            arena.sender.enqueue(one)
