"""A leader whose machine's clock is set, forward and back, while it works."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
import time_machine

from scheduler.leader import Leader
from scheduler.requests import Requests
from scheduler.schedule import Entry, Tick
from scheduler.service import Service
from scheduler.ticker import Sent, Ticker
from settings.scheduling import ScheduleEntry, SchedulerSettings
from stores.redis.batches import Batches as BatchStore
from stores.redis.clock import RedisClock
from stores.redis.leadership import Leadership
from stores.redis.schedule import Schedule
from tests.conftest import Eventually


class Ticks:
    """What was sent, and when it was due."""

    def __init__(self) -> None:
        self.sent: list[Tick] = []

    def __call__(self, entry: Entry, tick: Tick, *, raise_if_not_leading: Callable[[], None]) -> Sent:
        self.sent.append(tick)
        return Sent()

    def take_back(self, batch_id: str, reason: str) -> bool:
        raise AssertionError(f"{batch_id} is taken back, because {reason}")


def test_redis_tells_the_time_whatever_the_machine_says(redis_client: redis.Redis) -> None:
    clock = RedisClock(redis_client, time.monotonic)
    with time_machine.travel(datetime(2031, 1, 1, tzinfo=UTC)):
        clock.read()
        seconds: Any = redis_client.time()
        assert abs(clock.now().timestamp() - seconds[0]) < 5


@pytest.mark.parametrize("jump", [timedelta(hours=2), timedelta(hours=-2), timedelta(days=400)])
def test_a_leader_whose_clock_jumps_goes_on_in_step_fires_none_twice_and_loses_none(
    redis_client: redis.Redis, namespace: str, eventually: Eventually, jump: timedelta
) -> None:
    ticks, clock = Ticks(), RedisClock(redis_client, time.monotonic)
    clock.read()
    schedule: Any = Schedule(redis_client, namespace)
    leader = Leader(Leadership(redis_client, namespace), "me", lease_s=0.5, monotonic=time.monotonic)
    ticker = Ticker(schedule, leader, ticks, clock, lambda *_: None)
    unused: Any = None
    requests = Requests(leader, ticker, unused, schedule, BatchStore(redis_client, namespace))
    service = Service(leader, ticker, requests, [], clock)
    entries = {"often": ScheduleEntry(every_s=1, coalesce=False)}
    try:
        service.start(SchedulerSettings(entries=entries))
        eventually(lambda: len(ticks.sent) > 3)
        with time_machine.travel(datetime.now(UTC) + jump, tick=True):
            seen = len(ticks.sent)
            eventually(lambda: len(ticks.sent) > seen + 3, deadline_s=30)
        seen = len(ticks.sent)
        eventually(lambda: len(ticks.sent) > seen + 2, deadline_s=30)
    finally:
        service.stop()
    moments = [tick.at for tick in ticks.sent]
    assert moments == [moments[0] + timedelta(seconds=n) for n in range(len(moments))]
