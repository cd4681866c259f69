"""How fast messages are sent, one at a time and in bulk, beside the bare EVALSHA."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dramatiq
import redis

from benchmarks.broker.arena import Arena
from benchmarks.broker.contestants import OURS, STOCK, Contestant, message
from benchmarks.broker.report import Row, median_figure
from brokers.redis import PriorityRedisBroker

# As little as a script can do with a message: keep it, and put its id in line.
FLOOR = "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2]) redis.call('RPUSH', KEYS[2], ARGV[1])"
PIPELINE = 500
US_PER_S = 1_000_000


@dataclass
class Rates:
    """Messages a second, and CPU microseconds a message, by contestant, from several rounds."""

    rates: dict[str, list[float]] = field(default_factory=dict)
    cpu_us: dict[str, list[float]] = field(default_factory=dict)

    def time(self, label: str, count: int, send: Callable[[], Any]) -> None:
        start_s, start_cpu_s = time.perf_counter(), time.process_time()
        send()
        self.cpu_us.setdefault(label, []).append((time.process_time() - start_cpu_s) / count * US_PER_S)
        self.rates.setdefault(label, []).append(count / (time.perf_counter() - start_s))

    def rows(self, what: str, must: str) -> list[Row]:
        rates = tuple(median_figure(label, values) for label, values in self.rates.items())
        cpu = tuple(median_figure(label, values) for label, values in self.cpu_us.items())
        return [
            Row(what, "messages/s", rates, must=must),
            Row(f"{what}, CPU of the sender", "us", cpu, is_rate=False),
        ]


def measure_single(url: str, count: int, rounds: int) -> list[Row]:
    rates = Rates()
    for _ in range(rounds):
        for contestant in (STOCK, OURS):
            arena = Arena(contestant, url)
            rates.time(contestant.kind, count, lambda arena=arena: _send_each(arena.sender, count))  # type: ignore[misc]
            arena.close()
        rates.time("floor, EVALSHA", count, lambda: _floor(url, count, pipeline=1))
    return rates.rows("send, one at a time", must="1.3 x, aim 0.9 of the floor")


def measure_bulk(url: str, count: int, rounds: int) -> list[Row]:
    rates = Rates()
    for _ in range(rounds):
        rates.time(STOCK.kind, count // 5, lambda: _in_arena(STOCK, url, _send_each, count // 5))
        rates.time(OURS.kind, count, lambda: _in_arena(OURS, url, _send_bulk, count))
        rates.time("floor, pipelined EVALSHA", count, lambda: _floor(url, count, pipeline=PIPELINE))
    return rates.rows("send in bulk", must="7 x, aim 10 x")


def _in_arena(contestant: Contestant, url: str, send: Callable[[Any, int], None], count: int) -> None:
    arena = Arena(contestant, url)
    send(arena.sender, count)
    arena.close()


def _send_each(sender: dramatiq.Broker, count: int) -> None:
    for number in range(count):
        sender.enqueue(message("nothing", number=number))


def _send_bulk(sender: PriorityRedisBroker, count: int) -> None:
    sender.enqueue_many(message("nothing", number=number) for number in range(count))


def _floor(url: str, count: int, *, pipeline: int) -> None:
    with redis.Redis.from_url(url) as client:
        sha = client.script_load(FLOOR)
        for first in range(0, count, pipeline):
            batch: Any = client.pipeline(transaction=False) if pipeline > 1 else client
            for number in range(first, first + pipeline):
                one = message("nothing", number=number)
                batch.evalsha(
                    sha, 2, "floor:values", "floor:waiting", one.message_id, json.dumps(one.asdict())
                )
            if pipeline > 1:
                batch.execute()
        client.delete("floor:values", "floor:waiting")
