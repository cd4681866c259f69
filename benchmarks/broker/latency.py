"""How long until a message starts: on an idle worker, and behind a backlog."""

from __future__ import annotations

import random
import time
from statistics import median, quantiles

from benchmarks.broker.arena import BOOT_DEADLINE_S, Arena, wait_until
from benchmarks.broker.contestants import OURS, STOCK, Contestant, message
from benchmarks.broker.report import Figure, Row
from brokers.redis import PriorityRedisBroker

THREADS = 8
IDLE_S = 30.0
JOB_MS = 5.0
DEADLINE_S = 60.0
MS_PER_S = 1000


def measure_idle(url: str, samples: int) -> list[Row]:
    waits = {contestant.label: _idle_waits_ms(contestant, url, samples) for contestant in (STOCK, OURS)}
    commands = {contestant.label: _idle_commands_per_s(contestant, url) for contestant in (STOCK, OURS)}
    p50 = tuple(Figure(label, median(values)) for label, values in waits.items())
    p99 = tuple(Figure(label, quantiles(values, n=100)[98]) for label, values in waits.items())
    idle = tuple(Figure(label, value) for label, value in commands.items())
    return [
        Row("idle: send to start, median", "ms", p50, must="< 3", is_rate=False),
        Row("idle: send to start, p99", "ms", p99, must="< 10, aim 3", is_rate=False),
        Row("idle: Redis commands", "1/s", idle, must="<= 2", is_rate=False),
    ]


def measure_urgent(url: str, count: int) -> list[Row]:
    rows = []
    for where, queue in (("same queue", "default"), ("other queue", "other")):
        waits = {one.label: _urgent_waits_ms(one, url, count, queue) for one in (STOCK, OURS)}
        middle = tuple(Figure(label, median(values)) for label, values in waits.items())
        longest = tuple(Figure(label, max(values)) for label, values in waits.items())
        name = f"urgent behind {count:,} low jobs, {where}"
        rows.append(Row(f"{name}, median", "ms", middle, must="< 5, aim 3", is_rate=False))
        rows.append(Row(f"{name}, longest", "ms", longest, must="< 15", is_rate=False))
    return rows


def _idle_waits_ms(contestant: Contestant, url: str, samples: int) -> list[float]:
    arena = Arena(contestant, url)
    with arena.worker(threads=THREADS):
        _note_start(arena)
        wait_until(lambda: _noted(arena) == 1, BOOT_DEADLINE_S)
        arena.client.delete(arena.key("started"))
        for number in range(samples):
            time.sleep(random.uniform(0.05, 0.3))
            _note_start(arena)
            wait_until(lambda number=number: _noted(arena) > number, DEADLINE_S)  # type: ignore[misc]
        waits = _waits_ms(arena)
    arena.close()
    return waits


def _idle_commands_per_s(contestant: Contestant, url: str) -> float:
    arena = Arena(contestant, url)
    with arena.worker(threads=THREADS):
        _note_start(arena)
        wait_until(lambda: _noted(arena) == 1, BOOT_DEADLINE_S)
        time.sleep(2.0)  # stock dramatiq backs off as it finds nothing; connections have been greeted
        before = _commands(arena)
        time.sleep(IDLE_S)
        commands = _commands(arena) - before - 1  # the count itself
    arena.close()
    return commands / IDLE_S


def _urgent_waits_ms(contestant: Contestant, url: str, count: int, queue: str) -> list[float]:
    arena = Arena(contestant, url)
    low = [message("work", ms=JOB_MS, options={"broker_priority": "low"}) for _ in range(count)]
    if isinstance(arena.sender, PriorityRedisBroker):
        arena.sender.enqueue_many(low)
    else:
        for one in low:
            arena.sender.enqueue(one)
    sent = 0
    with arena.worker(threads=THREADS):
        wait_until(lambda: arena.unfinished() < count, BOOT_DEADLINE_S)
        while arena.unfinished() > count // 5 and sent < 50:
            _note_start(arena, queue)
            sent += 1
            time.sleep(random.uniform(0.05, 0.1))
        wait_until(lambda: _noted(arena) == sent, DEADLINE_S)
        waits = _waits_ms(arena)
    arena.close()
    return waits


def _note_start(arena: Arena, queue: str = "default") -> None:
    options = {"broker_priority": "urgent"}
    arena.sender.enqueue(
        message("note_start", queue=queue, options=options, key="started", due_s=time.time())
    )


def _noted(arena: Arena) -> int:
    return int(arena.client.llen(arena.key("started")))


def _waits_ms(arena: Arena) -> list[float]:
    noted = arena.client.lrange(arena.key("started"), 0, -1)
    return [float(wait_s) * MS_PER_S for wait_s in noted]


def _commands(arena: Arena) -> int:
    return int(arena.client.info("stats")["total_commands_processed"])
