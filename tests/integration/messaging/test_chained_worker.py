from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

import dramatiq
import pytest
import redis

from brokers import embedded
from brokers.chain import open_sender
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually

MODULE = "tests.integration.messaging.chained_worker"
ROOT = Path(__file__).parents[3]
THREADS = 4
GRACE_MS = 20_000  # of which the good case takes a moment
ENDED_WITHIN_S = 60.0

pytestmark = pytest.mark.parametrize("command", ["dramatiq", "dramatiq-gevent"])


class Bench:
    """A sender, a worker process, and what its actors wrote down."""

    def __init__(self, command: str, url: str, namespace: str, folder: Path) -> None:
        self.log = folder / "worker.log"
        self.may_end = folder / "may-end"
        self.command = command
        self.url = url
        self.namespace = namespace
        self.client = redis.Redis.from_url(url, decode_responses=True)
        self.broker: PriorityRedisBroker = open_sender(url, namespace=namespace)

    def send(self, actor: str, **kwargs: Any) -> dramatiq.Message[Any]:
        return self.broker.enqueue(dramatiq.Message("default", actor, (), kwargs, {}))

    def noted(self, name: str) -> list[str]:
        noted: Any = self.client.lrange(f"{self.namespace}-{name}", 0, -1)
        return list(noted)

    def has_started(self, count: int) -> bool:
        return len(self.noted("started")) == count

    def has_stopped_fetching(self) -> bool:
        return "Shutting down..." in self.log.read_text()

    def recover(self) -> int:
        """Give back at once what dead workers held, as if their leases had run out."""
        for worker in Operations(self.broker).workers():
            self.client.delete(f"{{{self.namespace}}}:process:{worker.process}")
        return self.broker.recover()

    def count(self, place: str) -> int:
        key = f"{{{self.namespace}}}"
        if place == "dead":
            return self.client.zcard(f"{key}:q:default:dead")
        return self.client.hlen(f"{key}:{place}")

    @contextlib.contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        program = str(Path(sys.executable).with_name(self.command))
        options = ["-p", "1", "-t", str(THREADS), "--worker-shutdown-timeout", str(GRACE_MS)]
        with self.log.open("wb") as log:
            process = self._start([program, MODULE, *options], log)
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self, command: list[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "TEST_REDIS_URL": self.url,
                "TEST_NAMESPACE": self.namespace,
                "TEST_MAY_END": str(self.may_end),
                "PYTHONPATH": str(ROOT),
            },
            stderr=log,
            start_new_session=True,
        )

    def close(self) -> None:
        self.broker.close()
        self.client.close()


@pytest.fixture
def bench(command: str, redis_url: str, namespace: str, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(command, redis_url, namespace, tmp_path)
    yield bench
    bench.close()


def test_each_kind_of_error_meets_its_fate(bench: Bench, eventually: Eventually) -> None:
    messages = {kind: bench.send("fail", kind=kind) for kind in ("transient", "permanent", "bug", "deferred")}
    with bench.worker():
        eventually(lambda: bench.count("dead") == 3)
        eventually(lambda: bench.noted("tried").count("deferred") >= 4)
    tried = bench.noted("tried")
    assert [tried.count(kind) for kind in ("transient", "permanent", "bug")] == [3, 1, 3]
    dead = [messages[kind].message_id for kind in ("transient", "permanent", "bug")]
    assert sorted(bench.noted("dead")) == sorted(dead)


def test_two_sigterms_finish_what_runs_and_strand_nothing(bench: Bench, eventually: Eventually) -> None:
    for number in range(THREADS + 6):
        bench.send("hold", number=number)
    with bench.worker() as process:
        eventually(partial(bench.has_started, THREADS))
        os.killpg(process.pid, signal.SIGTERM)  # to the master and its worker, as honcho and Heroku do
        os.killpg(process.pid, signal.SIGTERM)
        eventually(bench.has_stopped_fetching)
        bench.may_end.touch()
        assert process.wait(ENDED_WITHIN_S) == 0
    assert sorted(bench.noted("done")) == sorted(bench.noted("started"))
    assert len(bench.noted("done")) == THREADS
    assert (bench.count("leased"), bench.count("values")) == (0, 6)


def test_long_work_is_handed_over_to_the_next_worker(bench: Bench, eventually: Eventually) -> None:
    bench.send("page_through", number=1)
    with bench.worker() as process:
        eventually(lambda: bench.noted("started"))
        process.terminate()
        assert process.wait(ENDED_WITHIN_S) == 0
    assert bench.noted("done") == []
    bench.may_end.touch()
    with bench.worker():
        eventually(lambda: bench.noted("done") == ["1"])
    assert bench.noted("dead") == []


@pytest.mark.slow
def test_end_of_a_message_that_kills_its_workers_is_told(bench: Bench, eventually: Eventually) -> None:
    deadly = bench.send("kill_worker")
    for deaths in (1, 2, 3):
        with bench.worker():
            eventually(partial(bench.has_started, deaths))
        eventually(bench.recover)
    with bench.worker():
        eventually(lambda: bench.noted("dead") == [deadly.message_id])
    assert bench.count("dead") == 1


@pytest.mark.slow
def test_failures_while_redis_is_down_lose_no_message(
    command: str, tmp_path: Path, namespace: str, eventually: Eventually
) -> None:
    server = embedded.start(tmp_path)
    bench = Bench(command, server.url, namespace, tmp_path)
    for number in range(THREADS):
        bench.send("hold", number=number)
    with bench.worker():
        eventually(partial(bench.has_started, THREADS))
        os.kill(server.pid, signal.SIGTERM)
        eventually(lambda: server.has_ended)
        bench.may_end.touch()
        # Writing "done" fails, and then sending the message again fails too.
        eventually(lambda: bench.log.read_text().count("Failed to post_process_message") >= THREADS)
        server.stop()
        server = embedded.start(tmp_path)
        eventually(lambda: bench.count("values") == 0, deadline_s=60)
    assert sorted(bench.noted("done")) == sorted(map(str, range(THREADS)))
    bench.close()
    server.stop()
