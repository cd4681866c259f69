"""Workers on three hosts, each with a line of its own to Redis: one is cut off, then comes back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.acceptance.conftest import (
    CLUBSYNC,
    ENDED_WITHIN_S,
    Installation,
    Simulator,
    clean_environ,
    import_accounts,
)
from tests.conftest import Eventually
from tests.integration.brokers.proxy import Proxy
from tests.integration.brokers.server import Server

HOSTS = 3
CLUBS = 5  # with their association enough for all hosts, whose workers do two things at once
SLOW_S = 0.5
RECOVERED_WITHIN_S = 120.0


@dataclass(slots=True)
class Host:
    """A worker, and its line to Redis; the provider and the database it reaches even when cut off.

    So it can go on with what it does, and only its lost leases keep it from writing.
    """

    line: Proxy
    worker: subprocess.Popen[bytes]

    def stop(self) -> int:
        self.worker.terminate()
        return self.worker.wait(ENDED_WITHIN_S)


class Hosts:
    """A Redis that all hosts share, and who holds what."""

    def __init__(self, redis_url: str, environ: dict[str, str], log: Path, on_end: ExitStack) -> None:
        self.broker = PriorityRedisBroker(url=redis_url)
        self.operations = Operations(self.broker)
        on_end.callback(self.broker.client.close)
        on_end.callback(self.broker.close)
        self.each = [self._add(redis_url, environ, log, on_end) for _ in range(HOSTS)]

    def _add(self, redis_url: str, environ: dict[str, str], log: Path, on_end: ExitStack) -> Host:
        line = Proxy(redis_url)
        on_end.callback(line.close)
        output = on_end.enter_context(log.open("ab"))
        worker = subprocess.Popen(
            [CLUBSYNC, "worker"], env={**environ, "REDIS_URL": line.url}, stdout=output, stderr=output
        )
        on_end.callback(worker.wait)
        on_end.callback(worker.terminate)
        on_end.callback(line.flow)
        return Host(line, worker)

    def busy_processes(self) -> set[str]:
        return {one.process for one in self.operations.in_flight()}

    def live_processes(self) -> set[str]:
        return {one.process for one in self.operations.workers()}


@pytest.fixture
def system(tmp_path: Path, migrated_sqlite: Path, simulator: Simulator) -> Iterator[Installation]:
    """What an operator's own machine has: the command line, no process of its own."""
    home = tmp_path / "home"
    home.mkdir()
    server = Server(tmp_path)
    database = shutil.copy(migrated_sqlite, tmp_path / "shared.db")
    more = {"REDIS_URL": server.url, "DATABASE_URL": f"sqlite:///{database}"}
    more |= {"CLUBSYNC_WORKER__GREENLETS": "2", "CLUBSYNC_SYNC__ATTEMPTS": "5"}
    yield Installation(home, clean_environ(home, simulator, **more))
    simulator.ask("DELETE", "faults")
    server.kill()


@pytest.fixture
def hosts(system: Installation, tmp_path: Path) -> Iterator[Hosts]:
    with ExitStack() as on_end:
        yield Hosts(system.environ["REDIS_URL"], system.environ, tmp_path / "workers.log", on_end)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_others_finish_what_a_host_that_is_cut_off_holds_and_it_works_again_when_it_is_back(
    system: Installation, simulator: Simulator, hosts: Hosts, eventually: Eventually
) -> None:
    accounts = simulator.accounts()
    association = next(entry for entry in accounts if entry["type"] == "association")
    clubs = [entry for entry in accounts if entry["associations"] == [association["id"]]][:CLUBS]
    import_accounts(system, [association, *clubs])
    simulator.ask("POST", "faults", {"kind": "latency", "path": "/v*", "latency_s": SLOW_S})
    eventually(lambda: len(hosts.live_processes()) == HOSTS, deadline_s=60)
    assert system.run("queues", "pause", "syncs").code == 0
    assert system.run("sync", "association", "1").code == 0
    for number in range(len(clubs)):
        assert system.run("sync", "club", str(2 + number)).code == 0
    assert system.run("queues", "resume", "syncs").code == 0
    eventually(lambda: hosts.busy_processes() == hosts.live_processes(), deadline_s=60)

    hosts.each[0].line.stall()
    eventually(lambda: len(hosts.live_processes()) == HOSTS - 1, deadline_s=60)
    runs = eventually(lambda: finished_runs(system, 1 + len(clubs)), deadline_s=RECOVERED_WITHIN_S)
    assert {run["outcome"] for run in runs} == {"succeeded"}
    stored = system.run("export", "association", "1", "--json").json()
    truth = simulator.ask("GET", f"truth/association/{association['id']}")
    assert {game["id"] for game in stored["games"]} == {game["id"] for game in truth["games"]}

    hosts.each[0].line.flow()
    eventually(lambda: len(hosts.live_processes()) == HOSTS, deadline_s=60)
    assert [host.stop() for host in hosts.each[1:]] == [0, 0]
    simulator.ask("DELETE", "faults")
    again = system.run("sync", "association", "1", "--wait", "--json")
    assert again.code == 0, again.err
    written = [stage["created"] + stage["updated"] for stage in again.json()["stages"].values()]
    assert sum(written) == 0, "what the host did while it was cut off left nothing to mend"
    assert hosts.each[0].stop() == 0
    eventually(lambda: all(queue.ledger.is_balanced for queue in hosts.operations.queues()))


def finished_runs(system: Installation, number: int) -> list[dict[str, Any]]:
    """The runs, once all have ended."""
    runs: list[dict[str, Any]] = system.run("runs", "list", "--limit", "100", "--json").json()
    return runs if len(runs) == number and all(run["outcome"] for run in runs) else []
