"""A whole installation to measure: simulator, embedded Redis, SQLite and real worker processes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from brokers import embedded
from brokers.messages import Request, SyncAssociationDirect, SyncClubDirect
from brokers.queues import Priority
from cli.backend import Backend
from cli.processes import scheduler_argv, worker_argv
from cli.simulation import start_simulator
from cli.supervisor import Supervisor
from settings.loader import load
from settings.schema import Settings
from stores.redis.registry import Registry
from sync.model import OrganisationKind
from sync.report import Run

LATENCY_MS = 100
POLL_S = 0.02
STARTED_WITHIN_S = 40.0
STOP_GRACE_S = 10.0
MB = 1_000_000
# Without a quota the provider's pace is that of its latency and of the places for requests.
NO_QUOTA_PER_S = 100_000.0


class TooSlow(Exception):
    """Something measured did not end within its deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is installed: a simulated world of `size`, and the limits of its provider key."""

    size: str
    associations: int | None = None
    clubs: int | None = None
    requests_per_s: float = NO_QUOTA_PER_S
    # Without a quota latency is to decide, not how many requests may be under way.
    concurrency: int = 64
    grade_concurrency: int = 16
    worker_processes: int = 2

    def environ(self) -> dict[str, str]:
        return {
            "CLUBSYNC_PROVIDERS__PLAYHQ__REQUESTS_PER_S": str(self.requests_per_s),
            "CLUBSYNC_PROVIDERS__PLAYHQ__CONCURRENCY": str(self.concurrency),
            "CLUBSYNC_SYNC__GRADE_CONCURRENCY": str(self.grade_concurrency),
            "CLUBSYNC_WORKER__PROCESSES": str(self.worker_processes),
            "CLUBSYNC_SCHEDULER__ENTRIES": "{}",
        }

    def simulator_arguments(self) -> list[str]:
        counts = {"--associations": self.associations, "--clubs-per-association": self.clubs}
        options = [text for name, count in counts.items() if count for text in (name, str(count))]
        return ["--size", self.size, "--latency-ms", str(LATENCY_MS), *options]


@dataclass(slots=True)
class Plant:
    """The running installation, and the ways to ask, to look and to kill."""

    backend: Backend
    simulator_address: str
    environ: Mapping[str, str]
    log_dir: Path
    processes: list[Supervisor] = field(default_factory=list)

    def start_workers(self) -> None:
        """Start the worker processes and the scheduler, and wait until they are registered."""
        settings = self.backend.settings
        supervisor = Supervisor(self.environ, say=lambda *_: None, log_dir=self.log_dir)
        self.processes.append(supervisor)
        supervisor.start("worker", worker_argv(settings))
        supervisor.start("scheduler", scheduler_argv())
        registry = Registry(self.backend.redis, settings.redis.namespace, self.backend.clock)

        def is_ready() -> bool:
            alive = [service.pid for service in registry.list() if psutil.pid_exists(service.pid)]
            roles = [service.role for service in registry.list() if service.pid in alive]
            return roles.count("worker") >= settings.worker.processes and "scheduler" in roles

        supervisor.wait_until(is_ready, what="the worker", timeout_s=STARTED_WITHIN_S)

    def kill(self) -> None:
        """`kill -9` of every process that was started, workers and scheduler alike."""
        for supervisor in self.processes:
            for child in supervisor.children:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.process.pid, signal.SIGKILL)
                child.process.wait()
        self.processes.clear()

    def stop(self) -> None:
        for supervisor in self.processes:
            supervisor.stop(grace_s=STOP_GRACE_S)
        self.processes.clear()

    def send(self, kind: str, organisation_id: str) -> str:
        """Ask for a full sync of an organisation; answers the id of its new run.

        A run's message is acknowledged a moment after its verdict; until then a second request
        would be coalesced with it.
        """
        message = SyncClubDirect if kind == "club" else SyncAssociationDirect
        request = Request(message(organisation_id=organisation_id), Priority.NORMAL)
        ends_at_s = time.monotonic() + STARTED_WITHIN_S
        while (receipt := self.backend.publisher.send(request)).is_coalesced:
            if time.monotonic() > ends_at_s:
                raise TooSlow(f"run {receipt.run_id} did not make room")
            time.sleep(POLL_S)
        assert receipt.run_id is not None
        return receipt.run_id

    def wait(self, run_id: str, *, deadline_s: float) -> Run:
        """The finished run. Raises TooSlow."""
        wait_until(lambda: self.run(run_id).state.is_final, deadline_s, what=f"run {run_id}")
        return self.run(run_id)

    def run(self, run_id: str) -> Run:
        return self.backend.stores.runs.find(run_id)

    def organisations(self, kind: str) -> list[dict[str, Any]]:
        """Those of the world, as accounts to import."""
        found: list[dict[str, Any]] = self.ask("GET", "accounts?tenant=ca")
        return [entry for entry in found if entry["type"] == kind]

    def export(self, kind: str, organisation_id: str) -> Mapping[str, Any]:
        return self.backend.stores.exports.read(OrganisationKind(kind), organisation_id)

    def truth(self, kind: str, organisation_id: str) -> Mapping[str, Any]:
        """What the simulator says is published for the organisation."""
        told: Mapping[str, Any] = self.ask("GET", f"truth/{kind}/{organisation_id}")
        return told

    def served(self) -> Mapping[str, Any]:
        """The provider's own counts of requests, since the last reset."""
        counts: Mapping[str, Any] = self.ask("GET", "stats")
        return counts

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask the simulator's own addresses."""
        request = urllib.request.Request(
            f"{self.simulator_address}/_simulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def cpu_s(self) -> float:
        """User and system time of the worker processes so far."""
        return sum(sum(process.cpu_times()[:2]) for process in self._workers())

    def peak_rss_mb(self) -> float:
        """Of the largest worker process, since it was started."""
        return max(_peak_rss_bytes(process.pid) for process in self._workers()) / MB

    def _workers(self) -> list[psutil.Process]:
        """The processes that carry out messages: children of dramatiq's master."""
        masters = [
            psutil.Process(child.process.pid)
            for supervisor in self.processes
            for child in supervisor.children
            if child.name == "worker"
        ]
        return [process for master in masters for process in master.children(recursive=True)]


@contextlib.contextmanager
def running(layout: Layout) -> Iterator[Plant]:
    """An installation with its workers, in a folder that is deleted again."""
    with tempfile.TemporaryDirectory(prefix="clubsync-bench-") as home:
        logs = Path(home) / "log"
        logs.mkdir()
        server = embedded.start(Path(home))
        environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLUBSYNC_")},
            **layout.environ(),
            "CLUBSYNC_HOME": home,
            "CLUBSYNC_ENV": "test",
            "REDIS_URL": server.url,
        }
        provider = Supervisor(environ, say=lambda *_: None, log_dir=logs)
        try:
            environ |= start_simulator(provider, *layout.simulator_arguments())
            settings: Settings = load(environ).settings
            plant = Plant(
                backend=Backend(settings, server.url),
                simulator_address=environ["CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL"],
                environ=environ,
                log_dir=logs,
            )
            plant.backend.stores.runs.count_by_state("none")  # makes the tables
            plant.start_workers()
            try:
                yield plant
            finally:
                plant.stop()
        finally:
            provider.stop(grace_s=STOP_GRACE_S)
            server.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What something took: wall time, the workers' CPU, and the provider's own count of requests."""

    wall_s: float
    cpu_s: float
    requests: int
    max_in_1s: int


@contextlib.contextmanager
def measured(plant: Plant, into: list[Cost]) -> Iterator[None]:
    """Append what the block cost."""
    plant.ask("DELETE", "stats")
    started_s, cpu_s = time.monotonic(), plant.cpu_s()
    yield
    wall_s = time.monotonic() - started_s
    served = plant.served()
    into.append(
        Cost(
            wall_s=wall_s,
            cpu_s=plant.cpu_s() - cpu_s,
            requests=served["requests"],
            max_in_1s=served["max_in_1s"],
        )
    )


def wait_until(holds: Callable[[], bool], deadline_s: float, *, what: str) -> None:
    """Raises TooSlow."""
    ends_at_s = time.monotonic() + deadline_s
    while not holds():
        if time.monotonic() > ends_at_s:
            raise TooSlow(f"{what} did not end within {deadline_s:g} s")
        time.sleep(POLL_S)


def written(run: Run) -> int:
    """How many records the run wrote."""
    return sum(report.created + report.updated + report.removed for report in run.stages.values())


def differing_lists(stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> Sequence[str]:
    """The lists of an export that are not as they should be; fields that are not wanted do not count."""
    return [name for name in wanted if not _is_equal(stored[name], wanted[name])]


def _is_equal(stored: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]]) -> bool:
    is_, should = _by_key(stored), _by_key(wanted)
    return is_.keys() == should.keys() and all(
        is_[key].get(name) == value for key, record in should.items() for name, value in record.items()
    )


def _by_key(records: Sequence[Mapping[str, Any]]) -> dict[Any, Mapping[str, Any]]:
    return {
        record.get("id") or (record["grade_id"], record["type"], record["pool_id"]): record
        for record in records
    }


def _peak_rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024
