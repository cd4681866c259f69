"""Ending the system in the middle of its work loses and orphans nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.acceptance.conftest import Installation, Simulator, clean_environ, import_accounts
from tests.conftest import Eventually

TOO_SLOW_S = 2.0  # nothing is finished within the grace period


@pytest.fixture
def accounts(simulator: Simulator) -> list[dict[str, Any]]:
    """An association and its clubs."""
    found = simulator.accounts()
    association = next(entry for entry in found if entry["type"] == "association")
    return [association, *(entry for entry in found if entry["associations"] == [association["id"]])]


@pytest.fixture
def system(tmp_path: Path, simulator: Simulator, accounts: list[dict[str, Any]]) -> Iterator[Installation]:
    home = tmp_path / "home"
    installation = Installation(home, clean_environ(home, simulator))
    import_accounts(installation, accounts)
    yield installation
    simulator.ask("DELETE", "faults")
    if installation.up is not None:
        installation.stop()


def processes_of(home: Path) -> list[psutil.Process]:
    """Everything alive that was started for this home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("CLUBSYNC_HOME") == str(home) and process.status() != "zombie":
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def unfinished(system: Installation) -> list[dict[str, Any]]:
    runs = system.run("runs", "list", "--limit", "100", "--json").json()
    return [run for run in runs if run["outcome"] is None]


def export(system: Installation) -> Any:
    return system.run("export", "association", "1", "--json").json()


def wait_for_the_batch(system: Installation, eventually: Eventually) -> list[dict[str, Any]]:
    def finished() -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = system.run("runs", "list", "--limit", "100", "--json").json()
        return runs if runs and all(run["outcome"] for run in runs) else []

    return eventually(finished, deadline_s=90)


@pytest.mark.slow
def test_sigterm_while_syncs_run_ends_well_and_a_restart_finishes_them(
    system: Installation, simulator: Simulator, accounts: list[dict[str, Any]], eventually: Eventually
) -> None:
    simulator.ask("POST", "faults", {"kind": "latency", "path": "/v*", "latency_s": TOO_SLOW_S})
    system.start()
    assert system.run("batch").code == 0
    eventually(lambda: [run for run in unfinished(system) if run["state"] == "running"], deadline_s=30)
    assert system.stop() == 0
    eventually(lambda: not processes_of(system.home))
    assert unfinished(system)

    simulator.ask("DELETE", "faults")
    system.start()
    runs = wait_for_the_batch(system, eventually)
    assert {run["account_id"] for run in runs} == set(range(1, len(accounts) + 1))
    assert {run["outcome"] for run in runs} == {"succeeded"}
    stored = export(system)
    truth = simulator.ask("GET", f"truth/association/{accounts[0]['id']}")
    assert {game["id"] for game in stored["games"]} == {game["id"] for game in truth["games"]}
    assert system.stop() == 0
