"""Settings that change while syncs run and processes die: nothing is lost, no run mixes two versions."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.conftest import CLUBSYNC, Installation, Simulator, clean_environ, import_accounts
from tests.conftest import Eventually

SETTLED_WITHIN_S = 90.0
NOWHERE = "http://127.0.0.1:9"


class Load:
    """Asks for one account after the other until it is stopped."""

    def __init__(self, system: Installation, accounts: int) -> None:
        self._system = system
        self._accounts = accounts
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.run_ids: set[str] = set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        number = 0
        while not self._stopping.wait(0.1):
            number = number % self._accounts + 1
            body = json.dumps({"mode": "update", "id": number}).encode()
            request = urllib.request.Request(
                f"http://127.0.0.1:{self._system.port}/api/v1/syncs",
                method="POST",
                data=body,
                headers={"Content-Type": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, timeout=30) as answer:
                    self.run_ids.add(json.load(answer)["run_id"])
            except OSError:
                continue  # the web process was killed; the next one answers


@pytest.fixture
def system(tmp_path: Path, simulator: Simulator) -> Iterator[Installation]:
    home = tmp_path / "home"
    more = {"CLUBSYNC_SYNC__ATTEMPTS": "9", "CLUBSYNC_CONFIG": str(tmp_path / "clubsync.toml")}
    (tmp_path / "clubsync.toml").write_text("# Nothing but the defaults.\n")
    installation = Installation(home, clean_environ(home, simulator, **more))
    import_accounts(installation, simulator.accounts()[:8])
    installation.start()
    yield installation
    if installation.up is not None:
        installation.stop()


@pytest.fixture
def second_worker(system: Installation, eventually: Eventually) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([CLUBSYNC, "worker"], env=system.environ, start_new_session=True) as process:
        eventually(lambda: len(processes(system, "worker")) == 2, deadline_s=40)
        yield process
        os.killpg(process.pid, signal.SIGTERM)


def processes(system: Installation, role: str) -> dict[str, int]:
    """Pids of the registered processes, by their ids."""
    services = system.run("workers", "--json").json()["services"]
    return {one["id"]: one["pid"] for one in services if one["role"] == role}


def trial(system: Installation) -> Any:
    return system.run("config", "canary", "--json").json()


def standing(system: Installation, number: int) -> str:
    rows = system.run("config", "history", "--json").json()
    return next(str(row["state"]) for row in rows if row["version"] == number)


def outcomes(system: Installation, run_ids: set[str]) -> dict[str, str | None]:
    runs = system.run("runs", "list", "--limit", "1000", "--json").json()
    return {run["id"]: run["outcome"] for run in runs if run["id"] in run_ids}


def a_rollback_ends_a_trial_that_no_other_change_may_disturb(system: Installation) -> None:
    changed = system.run("config", "set", "worker.greenlets=40", "--json").json()
    assert not any(said["restart_for"] for said in changed["processes"])
    tried = system.run("config", "set", "http.read_timeout_s=19", "--canary", "5m", "--json").json()
    refused = system.run("config", "set", "http.read_timeout_s=18")
    assert refused.code == 1
    assert f"version {tried['version']} of" in refused.err
    before = tried["version"] - 2
    restored = system.run("config", "rollback", str(before), "--json").json()
    assert restored["version"] == tried["version"] + 1
    assert standing(system, restored["version"]) == "in force"


def nothing_is_lost(system: Installation, load: Load, eventually: Eventually) -> None:
    """Every run that was asked for ends well, and the books balance."""
    load.stop()

    def finished() -> bool:
        found = outcomes(system, load.run_ids)
        return found.keys() == load.run_ids and all(found.values())

    eventually(finished, deadline_s=SETTLED_WITHIN_S)
    assert set(outcomes(system, load.run_ids).values()) == {"succeeded"}
    assert system.run("dead", "list", "--json").json() == []


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_canary_survives_the_death_of_its_worker_of_the_web_and_of_the_scheduler(
    system: Installation, second_worker: subprocess.Popen[bytes], eventually: Eventually
) -> None:
    load = Load(system, accounts=8)
    load.start()
    begun = system.run("config", "set", "http.read_timeout_s=19", "--canary", "14s", "--json").json()
    (said,) = begun["processes"]
    assert (said["process"], said["accepted"]) == (begun["worker"], True)
    os.kill(processes(system, "worker")[begun["worker"]], signal.SIGKILL)
    for role in ("web", "scheduler"):
        for pid in processes(system, role).values():
            os.kill(pid, signal.SIGKILL)

    moved = eventually(lambda: (found := trial(system)) and found["moves"] == 1 and found, deadline_s=60)
    assert moved["worker"] != begun["worker"]
    eventually(lambda: trial(system) is None, deadline_s=SETTLED_WITHIN_S)
    assert standing(system, begun["version"]) == "in force"
    nothing_is_lost(system, load, eventually)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_canary_that_fails_is_taken_back_by_itself_and_its_runs_end_well_elsewhere(
    system: Installation, second_worker: subprocess.Popen[bytes], eventually: Eventually
) -> None:
    load = Load(system, accounts=8)
    load.start()
    a_rollback_ends_a_trial_that_no_other_change_may_disturb(system)
    eventually(lambda: len(load.run_ids) > 8, deadline_s=40)
    begun = system.run(
        "config", "set", f"providers.playhq.base_url={NOWHERE}", "--canary", "5m", "--json"
    ).json()
    eventually(lambda: trial(system) is None, deadline_s=SETTLED_WITHIN_S)
    assert standing(system, begun["version"]) == "withdrawn"
    nothing_is_lost(system, load, eventually)
    ended, begun_line = system.run("audit", "--subject", str(begun["version"]), "--json").json()
    assert (ended["action"], begun_line["action"]) == ("config_canary_ended", "config_canary_begun")
    assert "attempts failed under it" in ended["detail"]["why"]
