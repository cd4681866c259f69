"""Where a contestant is measured: its namespace on the shared server, and its worker processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import dramatiq
import psutil
import redis

from benchmarks.broker.contestants import Contestant, count_unfinished, open_broker

POLL_S = 0.01
BOOT_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0
ROOT = Path(__file__).parents[2]


class TooSlow(Exception):
    """Something measured did not end within its deadline."""


@dataclass
class Arena:
    """One contestant in a namespace of its own; `sender` is a broker that only sends."""

    contestant: Contestant
    url: str
    namespace: str = field(default_factory=lambda: f"b{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.client = redis.Redis.from_url(self.url)
        self.sender: dramatiq.Broker = open_broker(self.contestant.kind, self.url, self.namespace)

    def unfinished(self) -> int:
        return count_unfinished(self.client, self.contestant, self.namespace)

    def key(self, name: str) -> str:
        """Where the worker's actors write for this name."""
        return f"{self.namespace}-{name}"

    @contextlib.contextmanager
    def worker(self, *, threads: int, environment: Mapping[str, str] | None = None) -> Iterator[Worker]:
        """A worker process that runs until the end of the block, then is told to stop."""
        worker = self.start_worker(threads=threads, environment=environment)
        try:
            yield worker
        finally:
            worker.stop()

    def start_worker(self, *, threads: int, environment: Mapping[str, str] | None = None) -> Worker:
        command = str(Path(sys.executable).with_name(self.contestant.command))
        options = ["-p", "1", "-t", str(threads), "--worker-shutdown-timeout", "5000"]
        process = subprocess.Popen(
            [command, "benchmarks.broker.worker", *options],
            cwd=ROOT,
            env={
                **os.environ,
                "BENCH_KIND": self.contestant.kind,
                "BENCH_URL": self.url,
                "BENCH_NAMESPACE": self.namespace,
                "PYTHONPATH": str(ROOT),
                **(environment or {}),
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        return Worker(process)

    def close(self) -> None:
        self.sender.close()
        for key in self.client.scan_iter(f"*{self.namespace}*", count=1000):
            self.client.unlink(key)
        self.client.close()


@dataclass
class Worker:
    """The command line's process with its children, in a session of their own."""

    process: subprocess.Popen[bytes]

    def rss_bytes(self) -> int:
        """Of the process that runs the actors: the largest child."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        return max(child.memory_info().rss for child in children)

    def cpu_s(self) -> float:
        children = psutil.Process(self.process.pid).children(recursive=True)
        return sum(sum(child.cpu_times()[:2]) for child in children)

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.kill()


def wait_until(holds: Callable[[], bool], deadline_s: float, *, poll_s: float = POLL_S) -> float:
    """Seconds until it held. Raises TooSlow."""
    start_s = time.monotonic()
    while not holds():
        if time.monotonic() - start_s > deadline_s:
            raise TooSlow(f"not within {deadline_s:g} s")
        time.sleep(poll_s)
    return time.monotonic() - start_s
