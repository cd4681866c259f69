"""Two and three schedulers as real processes, killed and stopped, and their Redis with them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import redis

from stores.redis.leadership import Leadership
from stores.redis.schedule import Schedule
from tests.conftest import Eventually
from tests.integration.scheduler.drilled import LEASE_S, set_table
from tests.integration.scheduler.takeover_drill import STEADY, Drill

TICKS = 1000
Spawn = Callable[[], "subprocess.Popen[bytes]"]


@pytest.fixture
def spawn(redis_url: str, redis_client: redis.Redis, namespace: str) -> Iterator[Spawn]:
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        set_table(redis_client, namespace, STEADY)
        command = [sys.executable, "-m", "tests.integration.scheduler.drilled", redis_url, namespace]
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
def test_a_thousand_ticks_over_killed_and_stopped_schedulers_and_a_stalled_redis_are_done_once_each(
    tmp_path: Path,
) -> None:
    with Drill(tmp_path, schedulers=3, seed=7) as drill:
        faults: list[Callable[[], None]] = [
            drill.kill_the_leader,
            drill.stop_the_leader,
            drill.end_the_leader,
            drill.restart_redis,
            # Longer than a client waits for an answer.
            partial(drill.stall_redis, 6.0),
            partial(drill.pause_redis, 1.0),
        ]
        drill.dice.shuffle(faults)
        with drill.changing_tables():
            for strike in faults:
                drill.rest()
                strike()
            while drill.done < TICKS:
                drill.rest()
                drill.kill_the_leader()
        count = drill.count()
    assert count.ticks >= TICKS
    assert count.is_right, count


def test_another_scheduler_leads_after_a_kill(
    spawn: Spawn, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    leadership = Leadership(redis_client, namespace)
    first = spawn()
    before = eventually(leadership.find)
    assert before is not None
    second = spawn()
    first.kill()

    def has_taken_over() -> bool:
        now = leadership.find()
        return now is not None and now.owner.endswith(f":{second.pid}") and now.term > before.term

    eventually(has_taken_over)


def test_ticks_are_claimed_in_step_with_the_clock(
    spawn: Spawn, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    schedule = Schedule(redis_client, namespace)
    wait_until(spawn(), b"leading\n")

    def is_ahead() -> bool:
        cursors = [state.cursor_at for state in schedule.states().values() if state.cursor_at]
        ahead = timedelta(seconds=LEASE_S)
        return len(cursors) == len(STEADY) and all(at > datetime.now(at.tzinfo) + ahead for at in cursors)

    eventually(is_ahead)
