"""Workers, schedulers and Redis are killed at random under load; in the end everything sent is done."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from brokers.inbox import IDS
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.server import Server

ROOT = Path(__file__).parents[3]
CHECK_HEALTH = '{"actor": "check_health"}'
BIN = Path(sys.executable).parent
WORK = ("tests.integration.brokers.drill_actors", *("-p", "1", "-t", "8", "--skip-logging"))
PROGRAMS = (
    (str(BIN / "dramatiq"), *WORK),
    (str(BIN / "dramatiq-gevent"), *WORK),
    (sys.executable, "-m", "scheduler"),
    (sys.executable, "-m", "scheduler"),
)
REDIS = len(PROGRAMS)
KILLS = (*range(len(PROGRAMS)), REDIS, *range(len(PROGRAMS)), REDIS)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


class Programs:
    """Programs in process groups of their own, so that a kill takes masters and children."""

    def __init__(self, environment: Mapping[str, str], commands: Sequence[Sequence[str]]) -> None:
        self._environment = {**os.environ, **environment, "PYTHONPATH": str(ROOT)}
        self._commands = commands
        self._running = [self._start(command) for command in commands]

    def _start(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill_one(self, index: int) -> None:
        os.killpg(self._running[index].pid, signal.SIGKILL)
        self._running[index].wait()
        self._running[index] = self._start(self._commands[index])

    def stop(self) -> set[int]:
        """SIGTERM to the masters, as a supervisor does; their exit codes."""
        for program in self._running:
            program.terminate()
        return {program.wait(30) for program in self._running}

    def kill_all(self) -> None:
        for program in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
            program.wait()


@pytest.fixture
def programs(server: Server, migrated_sqlite: Path, tmp_path: Path) -> Iterator[Programs]:
    programs = Programs(surroundings(server, migrated_sqlite, tmp_path), PROGRAMS)
    yield programs
    programs.kill_all()


class Sender(threading.Thread):
    """Sends throughout, by one and by many, and again with the same id when told it failed."""

    def __init__(self, broker: PriorityRedisBroker, client: Any, chance: random.Random) -> None:
        super().__init__()
        self.sent = 0
        self.passed_in: list[bytes] = []
        self.may_stop = threading.Event()
        self._broker = broker
        self._client = client
        self._chance = chance

    def run(self) -> None:
        while not self.may_stop.wait(0.05):
            size = self._chance.choice([1, 1, 20])
            some = [self._message() for _ in range(size)]
            while True:
                try:
                    self._broker.enqueue_many(some)
                    break
                except BrokerConnectionError:
                    time.sleep(0.1)
            # A stranger's XADD whose answer is lost may be doubled, which a health check survives.
            with contextlib.suppress(redis.ConnectionError):
                self.passed_in.append(self._client.xadd("clubsync:inbox", {"message": CHECK_HEALTH}))

    def _message(self) -> tuple[Message[Any], int | None]:
        self.sent += 1
        options = {"broker_priority": self._chance.choice(["urgent", "high", "normal", "low"])}
        message: Message[Any] = Message("drill", "work", (self.sent,), {}, options)
        return message, self._chance.choice([None, None, 300, 2000])


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_everything_sent_is_done_whoever_is_killed(
    server: Server, programs: Programs, eventually: Eventually
) -> None:
    chance = random.Random(20)
    broker = PriorityRedisBroker(url=server.url)
    client: Any = redis.Redis.from_url(server.url)
    sender = Sender(broker, client, chance)
    sender.start()
    for victim in chance.sample(KILLS, len(KILLS)):
        time.sleep(chance.uniform(0.5, 2.5))  # of work, shorter and longer than a start
        if victim == REDIS:
            server.kill()
            time.sleep(chance.uniform(0, 1))  # without it
            server.start()
        else:
            programs.kill_one(victim)
    sender.may_stop.set()
    sender.join(30)

    operations = Operations(broker)
    eventually(lambda: broker.queue_size("drill") == 0, deadline_s=60)
    assert {int(number) for number in client.smembers("done")} == set(range(1, sender.sent + 1))
    # What a killed scheduler had read from the inbox is claimed by the other one.
    passed_in = {str(uuid.uuid5(IDS, f"clubsync:inbox:{entry.decode()}")) for entry in sender.passed_in}
    eventually(lambda: passed_in <= {one.decode() for one in client.smembers("healthy")}, deadline_s=60)
    # The last one started may not have come to handling signals yet.
    assert programs.stop() <= {0, -signal.SIGTERM}
    # Nobody else is left to notice a worker that was killed shortly before the end.
    eventually(lambda: broker.recover() == 0 and not operations.workers())
    ledger = operations.ledger("drill")
    assert ledger.is_balanced, ledger
    assert (ledger.enqueued, ledger.dead) == (sender.sent, 0)
    ticked = operations.ledger("health")
    assert ticked.is_balanced, ticked
    assert ticked.enqueued > len(passed_in), "the schedulers send by themselves, too"
    broker.close()
    client.close()
    broker.client.close()


def surroundings(server: Server, migrated_sqlite: Path, home: Path) -> dict[str, str]:
    """Of the workers and of schedulers that tick each second."""
    database = shutil.copy(migrated_sqlite, home / "drill.db")
    return {
        "REDIS_URL": server.url,
        "DATABASE_URL": f"sqlite:///{database}",
        "CLUBSYNC_HOME": str(home),
        "CLUBSYNC_SCHEDULER__ENTRIES__HEALTH__EVERY_S": "1",
        "CLUBSYNC_SCHEDULER__ENTRIES__NIGHTLY__IS_PAUSED": "true",
    }
