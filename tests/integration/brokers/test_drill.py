"""Workers and Redis are killed at random under load; in the end everything sent is done."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.server import Server

ROOT = Path(__file__).parents[3]
DRILL_S = 25.0
WORKERS = ("dramatiq", "dramatiq-gevent")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


class Workers:
    """Worker programs in process groups of their own, so that a kill takes master and child."""

    def __init__(self, url: str) -> None:
        self._environment = {**os.environ, "REDIS_URL": url, "PYTHONPATH": str(ROOT)}
        self._running = [self._start(program) for program in WORKERS]

    def _start(self, program: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                str(Path(sys.executable).with_name(program)),
                "tests.integration.brokers.drill_actors",
                *("-p", "1", "-t", "8", "--skip-logging"),
            ],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def kill_one(self, index: int) -> None:
        os.killpg(self._running[index].pid, signal.SIGKILL)
        self._running[index].wait()
        self._running[index] = self._start(WORKERS[index])

    def stop(self) -> list[int]:
        """SIGTERM to the masters, as a supervisor does; their exit codes."""
        for worker in self._running:
            worker.terminate()
        return [worker.wait(20) for worker in self._running]


class Sender(threading.Thread):
    """Sends throughout, by one and by many, and again with the same id when told it failed."""

    def __init__(self, broker: PriorityRedisBroker, chance: random.Random) -> None:
        super().__init__()
        self.sent = 0
        self.may_stop = threading.Event()
        self._broker = broker
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

    def _message(self) -> tuple[Message[Any], int | None]:
        self.sent += 1
        options = {"broker_priority": self._chance.choice(["urgent", "high", "normal", "low"])}
        message: Message[Any] = Message("drill", "work", (self.sent,), {}, options)
        return message, self._chance.choice([None, None, 300, 2000])


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_everything_sent_is_done_whoever_is_killed(server: Server, eventually: Eventually) -> None:
    chance = random.Random(20)
    broker = PriorityRedisBroker(url=server.url)
    client: Any = redis.Redis.from_url(server.url)
    workers = Workers(server.url)
    sender = Sender(broker, chance)
    sender.start()
    end = time.monotonic() + DRILL_S
    while time.monotonic() < end:
        time.sleep(chance.uniform(1.5, 3))
        if chance.random() < 0.2:
            server.kill()
            time.sleep(chance.uniform(0, 1))
            server.start()
        else:
            workers.kill_one(chance.randrange(len(WORKERS)))
    sender.may_stop.set()
    sender.join(30)

    operations = Operations(broker)
    eventually(lambda: broker.queue_size("drill") == 0, deadline_s=60)
    assert {int(number) for number in client.smembers("done")} == set(range(1, sender.sent + 1))
    ledger = operations.ledger("drill")
    assert ledger.is_balanced, ledger
    assert (ledger.enqueued, ledger.dead) == (sender.sent, 0)
    assert workers.stop() == [0, 0]
    # Nobody else is left to notice a worker that was killed shortly before the end.
    eventually(lambda: broker.recover() == 0 and not operations.workers())
    broker.close()
    client.close()
    broker.client.close()
