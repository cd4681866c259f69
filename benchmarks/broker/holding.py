"""What waiting costs a worker: delayed messages, and memory over many messages."""

from __future__ import annotations

import time
from statistics import quantiles

from benchmarks.broker.arena import BOOT_DEADLINE_S, Arena, TooSlow, wait_until
from benchmarks.broker.contestants import OURS, STOCK, Contestant, message
from benchmarks.broker.draining import fill
from benchmarks.broker.report import Figure, Row
from brokers.redis import PriorityRedisBroker

THREADS = 8
HOUR_MS = 3_600_000
SETTLE_S = 5.0
SOON_S = (1.0, 3.0)
SOON_COUNT = 200
LATE_DEADLINE_S = 30.0
DRAIN_DEADLINE_S = 300.0
MB = 1_000_000
MS_PER_S = 1000
US_PER_S = 1_000_000
PARTS = 10


def measure_delayed(url: str, count: int) -> list[Row]:
    results = {contestant.label: _hold(contestant, url, count) for contestant in (STOCK, OURS)}
    growth = tuple(Figure(label, result[0]) for label, result in results.items())
    lateness = tuple(result[1] for result in results.values())
    return [
        Row(f"{count:,} delayed: the worker grows", "MB", growth, must="< 2", is_rate=False),
        Row(f"late with {count:,} delayed, p99", "ms", lateness, must="< 100", is_rate=False),
    ]


def measure_many_delayed(url: str, count: int) -> list[Row]:
    """Ours alone: stock dramatiq would hold them in the worker's memory."""
    arena = Arena(OURS, url)
    with arena.worker(threads=THREADS) as worker:
        fill(arena, 100)
        wait_until(lambda: arena.unfinished() == 0, BOOT_DEADLINE_S)
        before = worker.rss_bytes()
        first_us = _send_delayed(arena, count // PARTS)
        for _ in range(PARTS - 2):
            _send_delayed(arena, count // PARTS)
        last_us = _send_delayed(arena, count // PARTS)
        time.sleep(SETTLE_S)
        growth = max(worker.rss_bytes() - before, 0) / MB
        lateness = _lateness(arena)
    arena.close()
    sent = (Figure("ours, the first tenth", first_us), Figure("ours, the last tenth", last_us))
    return [
        Row(
            f"{count:,} delayed: the worker grows", "MB", (Figure(OURS.label, growth),), "< 2", is_rate=False
        ),
        Row(f"late with {count:,} delayed, p99", "ms", (lateness,), "< 100", is_rate=False),
        Row(f"{count:,} delayed sent in bulk, CPU of the sender", "us", sent, "flat", is_rate=False),
    ]


def measure_memory(url: str, count: int) -> list[Row]:
    sizes = {contestant.label: _sizes_mb(contestant, url, count) for contestant in (STOCK, OURS)}
    rss = tuple(Figure(label, last) for label, (_, last) in sizes.items())
    growth = tuple(Figure(label, last - first) for label, (first, last) in sizes.items())
    return [
        Row("worker RSS", "MB", rss, must="<= stock + 5 MB", is_rate=False),
        Row(f"RSS growth over {count:,} messages", "MB", growth, must="flat", is_rate=False),
    ]


def _hold(contestant: Contestant, url: str, count: int) -> tuple[float, Figure]:
    """MB the worker grew by, and the lateness of messages that are due among the held ones."""
    arena = Arena(contestant, url)
    with arena.worker(threads=THREADS) as worker:
        fill(arena, 100)
        wait_until(lambda: arena.unfinished() == 0, BOOT_DEADLINE_S)
        before = worker.rss_bytes()
        _send_delayed(arena, count)
        time.sleep(SETTLE_S)
        growth = max(worker.rss_bytes() - before, 0) / MB
        lateness = _lateness(arena)
    arena.close()
    return growth, lateness


def _send_delayed(arena: Arena, count: int) -> float:
    """CPU microseconds a message that it took the sender."""
    start_s = time.process_time()
    messages = [message("nothing", number=number) for number in range(count)]
    if isinstance(arena.sender, PriorityRedisBroker):
        arena.sender.enqueue_many((one, HOUR_MS) for one in messages)
    else:
        for one in messages:
            arena.sender.enqueue(one, delay=HOUR_MS)
    return (time.process_time() - start_s) / count * US_PER_S


def _lateness(arena: Arena) -> Figure:
    first_s, last_s = SOON_S
    for number in range(SOON_COUNT):
        delay_s = first_s + (last_s - first_s) * number / SOON_COUNT
        note = message("note_start", key="started", due_s=time.time() + delay_s)
        arena.sender.enqueue(note, delay=round(delay_s * MS_PER_S))
    key = arena.key("started")
    try:
        wait_until(lambda: int(arena.client.llen(key)) == SOON_COUNT, LATE_DEADLINE_S)
    except TooSlow:
        missing = SOON_COUNT - int(arena.client.llen(key))
        return Figure(
            arena.contestant.label, None, f"{missing} of {SOON_COUNT} not started after {LATE_DEADLINE_S:g} s"
        )
    late_ms = [float(late_s) * MS_PER_S for late_s in arena.client.lrange(key, 0, -1)]
    return Figure(arena.contestant.label, quantiles(late_ms, n=100)[98])


def _sizes_mb(contestant: Contestant, url: str, count: int) -> tuple[float, float]:
    """RSS after a tenth of the messages, and after all."""
    arena = Arena(contestant, url)
    sizes = []
    with arena.worker(threads=THREADS) as worker:
        for part in (count // 10, count - count // 10):
            fill(arena, part)
            wait_until(lambda: arena.unfinished() == 0, DRAIN_DEADLINE_S)
            sizes.append(worker.rss_bytes() / MB)
    arena.close()
    return sizes[0], sizes[1]
