"""Two schedulers as real processes, the leading one killed again and again."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import redis

from stores.redis.leadership import Leadership
from stores.redis.schedule import Schedule
from tests.conftest import Eventually
from tests.integration.scheduler.drilled import LEASE_S, entries

EVERY_S = 0.05
ENTRIES = 5
TICKS = 1000
KILLS = 5
Spawn = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn(redis_url: str, namespace: str) -> Iterator[Spawn]:
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        arguments = [redis_url, namespace, str(EVERY_S), str(ENTRIES)]
        command = [sys.executable, "-m", "tests.integration.scheduler.drilled", *arguments]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        wait_until(processes[-1], b"ready\n")
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_until(process: subprocess.Popen[bytes], says: bytes) -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == says


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_thousand_ticks_over_random_kills_are_sent_once_each(
    spawn: Spawn, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    schedule = Schedule(redis_client, namespace)
    dice = random.Random(7)
    leading = spawn()
    wait_until(leading, b"leading\n")
    eventually(lambda: len(schedule.states()) == ENTRIES)
    first = {name: state.cursor_at for name, state in schedule.states().items()}
    kills = 0

    def queued() -> list[str]:
        keys: Any = redis_client.hkeys(f"{{{namespace}}}:values")
        return [key.decode().removeprefix("health/").replace("-", "") for key in keys]

    while kills < KILLS or len(queued()) < TICKS:
        waiting = spawn()
        # A moment of the leader's work that differs each time, a claim half done among them.
        time.sleep(dice.uniform(0.0, 0.5))
        killed_at = time.monotonic()
        leading.kill()
        kills += 1
        wait_until(waiting, b"leading\n")
        assert time.monotonic() - killed_at < 5
        leading = waiting
    leading.kill()
    leading.wait()

    expected: set[str] = set()
    for entry in entries(EVERY_S, ENTRIES):
        state, begun = schedule.states()[entry.id], first[entry.id]
        assert state.cursor_at is not None
        assert begun is not None
        # A tick that the last kill left pending waits for the next leader.
        ticks = entry.ticks(begun, state.cursor_at)
        expected |= {tick.id for tick in ticks if tick.at != state.pending_at}
    # What was sent before the first look is older than `first`; nothing later may lack.
    assert expected <= set(queued())
    enqueued: Any = redis_client.hget(f"{{{namespace}}}:counts", "health/enqueued")
    assert int(enqueued) == len(set(queued()))


def test_another_scheduler_leads_within_five_seconds_of_a_kill(
    spawn: Spawn, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    leadership = Leadership(redis_client, namespace)
    first = spawn()
    wait_until(first, b"leading\n")
    before = leadership.find()
    assert before is not None
    second = spawn()
    first.kill()
    wait_until(second, b"leading\n")
    after = leadership.find()
    assert after is not None
    assert after.term == before.term + 1
    assert after.owner != before.owner


def test_ticks_are_claimed_in_step_with_the_clock(
    spawn: Spawn, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    schedule = Schedule(redis_client, namespace)
    wait_until(spawn(), b"leading\n")

    def is_ahead() -> bool:
        cursors = [state.cursor_at for state in schedule.states().values() if state.cursor_at]
        ahead = timedelta(seconds=LEASE_S)
        return len(cursors) == ENTRIES and all(at > datetime.now(at.tzinfo) + ahead for at in cursors)

    eventually(is_ahead)
