"""Settings that change while syncs run and processes die: nothing is lost, no run mixes two versions."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.acceptance.asking import SETTLED_WITHIN_S, asking, nothing_is_lost
from tests.acceptance.conftest import CLUBSYNC, Installation, Simulator, clean_environ, import_accounts
from tests.conftest import Eventually

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, simulator: Simulator) -> Iterator[Installation]:
    folder = tmp_path_factory.mktemp("live")
    home, config = folder / "home", folder / "clubsync.toml"
    more = {"CLUBSYNC_SYNC__ATTEMPTS": "9", "CLUBSYNC_CONFIG": str(config)}
    config.write_text("# Nothing but the defaults.\n")
    installation = Installation(home, clean_environ(home, simulator, **more))
    import_accounts(installation, simulator.accounts()[:8])
    installation.start()
    yield installation
    if installation.up is not None:
        installation.stop()


@pytest.fixture
def second_worker(system: Installation, eventually: Eventually) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([CLUBSYNC, "worker"], env=system.environ, start_new_session=True) as process:
        eventually(lambda: len(processes(system, "worker")) == 2, deadline_s=90)
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


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_canary_survives_the_death_of_its_worker_of_the_web_and_of_the_scheduler(
    system: Installation, second_worker: subprocess.Popen[bytes], eventually: Eventually
) -> None:
    with asking(system, accounts=8) as load:
        begun = system.run("config", "set", "http.read_timeout_s=17", "--canary", "14s", "--json").json()
        (said,) = begun["processes"]
        assert (said["process"], said["accepted"]) == (begun["worker"], True)
        os.kill(processes(system, "worker")[begun["worker"]], signal.SIGKILL)
        for role in ("web", "scheduler"):
            for pid in processes(system, role).values():
                os.kill(pid, signal.SIGKILL)

        moved = eventually(lambda: (found := trial(system)) and found["moves"] == 1 and found, deadline_s=90)
        assert moved["worker"] != begun["worker"]
        eventually(lambda: trial(system) is None, deadline_s=SETTLED_WITHIN_S)
        assert standing(system, begun["version"]) == "in force"
    nothing_is_lost(system, load, eventually)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_canary_that_fails_is_taken_back_by_itself_and_its_runs_end_well_elsewhere(
    system: Installation, second_worker: subprocess.Popen[bytes], eventually: Eventually
) -> None:
    with asking(system, accounts=8) as load:
        a_rollback_ends_a_trial_that_no_other_change_may_disturb(system)
        eventually(lambda: len(load.run_ids) > 8, deadline_s=60)
        begun = system.run(
            "config", "set", f"providers.playhq.base_url={NOWHERE}", "--canary", "5m", "--json"
        ).json()
        eventually(lambda: trial(system) is None, deadline_s=SETTLED_WITHIN_S)
        assert standing(system, begun["version"]) == "withdrawn"
    nothing_is_lost(system, load, eventually)
    ended, begun_line = system.run("audit", "--subject", str(begun["version"]), "--json").json()
    assert (ended["action"], begun_line["action"]) == ("config_canary_ended", "config_canary_begun")
    assert "attempts failed under it" in ended["detail"]["why"]
