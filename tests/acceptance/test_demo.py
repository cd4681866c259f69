"""`clubsync demo`, as somebody runs it who has just cloned the project."""

from __future__ import annotations

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from tests.acceptance.conftest import CLUBSYNC, Installation, clean_environ
from tests.acceptance.test_shutdown import processes_of
from tests.conftest import Eventually

COUNTS = ("created", "updated", "removed")
TABLES = ("seasons", "grades", "teams", "games", "ladders")


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    home = tmp_path / "home"
    return Installation(home, clean_environ(home))


def total(runs: list[dict[str, Any]], name: str) -> int:
    return sum(stage[name] for run in runs for stage in run["stages"].values())


def stored_records(home: Path) -> int:
    engine = create_engine(f"sqlite:///{home / 'clubsync.sqlite3'}")
    with engine.connect() as connection:
        counts = [connection.scalar(text(f"SELECT count(*) FROM {table}")) or 0 for table in TABLES]
    engine.dispose()
    return sum(counts)


@dataclass(frozen=True, slots=True)
class Performed:
    """A demo that has ended well, in the home it leaves."""

    installation: Installation
    summary: dict[str, Any]
    stored_records: int


@pytest.fixture(scope="module")
def performed(tmp_path_factory: pytest.TempPathFactory) -> Performed:
    home = tmp_path_factory.mktemp("demo") / "home"
    installation = Installation(home, clean_environ(home))
    done = installation.run_apart("demo", "--json")
    assert done.code == 0, done.err
    return Performed(installation, done.json(), stored_records(home))


def test_the_demo_does_what_it_promises_and_leaves_nothing_running(
    performed: Performed, eventually: Eventually
) -> None:
    summary = performed.summary
    runs = {
        phase: [run for run in summary["runs"] if run["phase"] == phase]
        for phase in ("first", "unchanged", "changed")
    }
    assert len(runs["first"]) == len(runs["unchanged"]) == summary["accounts"] >= 28
    assert {run["outcome"] for run in summary["runs"]} == {"succeeded"}
    assert total(runs["first"], "created") == performed.stored_records
    assert [total(runs["unchanged"], name) for name in COUNTS] == [0, 0, 0]
    changed = {change["id"] for answer in summary["provider_changes"] for change in answer["changes"]}
    assert changed <= {change["record_id"] for change in summary["changes_written"]}
    assert sum(total(runs["changed"], name) for name in COUNTS) == len(summary["changes_written"])
    assert summary["requests_sent"] == summary["requests_served"]
    assert summary["notifications"] == len(summary["runs"])
    eventually(lambda: not processes_of(performed.installation.home))


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_second_demo_works_on_what_the_first_has_left(performed: Performed) -> None:
    again = performed.installation.run_apart("demo", "--json")
    assert again.code == 0, again.err + again.out
    assert again.json()["second_sync_writes"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("said", ["starting", "imported"])
def test_ctrl_c_ends_everything(installation: Installation, eventually: Eventually, said: str) -> None:
    process = subprocess.Popen(
        [CLUBSYNC, "demo"],
        env={**installation.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    while said not in (line := process.stdout.readline()):
        assert line, "the demo ended by itself"
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) == 130, rest
    assert "Traceback" not in rest
    eventually(lambda: not processes_of(installation.home))


def test_a_command_that_waits_brings_its_own_worker_where_nothing_runs(
    installation: Installation, eventually: Eventually
) -> None:
    done = installation.run_apart(
        "sync", "club", "00000000-0000-4000-8000-000000000000", "--direct", "--wait"
    )
    assert done.code == 1
    assert "no worker runs here" in done.err
    assert "does not exist at the provider" in done.out
    eventually(lambda: not processes_of(installation.home))


def test_five_mistakes_in_a_settings_file_are_five_lines(installation: Installation, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(
        """
[http]
attempts = "many"
conect_timeout_s = 3
[worker]
greenlets = 0
[providers.playhq]
base_url = "ftp://example.org"
default_zone = "Australia/Atlantis"
"""
    )
    done = installation.run_apart("config", "check", CLUBSYNC_CONFIG=str(path))
    assert done.code == 2
    lines = done.err.strip().splitlines()
    assert len(lines) == 5
    for key, value in (
        ("http.attempts", "many"),
        ("http.conect_timeout_s", "connect_timeout_s"),
        ("worker.greenlets", "0"),
        ("providers.playhq.base_url", "ftp://example.org"),
        ("providers.playhq.default_zone", "Australia/Atlantis"),
    ):
        assert any(str(path) in line and key in line and value in line for line in lines), done.err


def test_a_home_that_cannot_be_written_is_said_in_one_sentence(installation: Installation) -> None:
    if os.geteuid() == 0:
        blocked = Path("/proc/clubsync")  # root may write anywhere else
    else:
        blocked = installation.home
        blocked.mkdir(mode=0o500)
    done = installation.run_apart("demo", CLUBSYNC_HOME=str(blocked))
    assert done.code in (1, 2)
    assert len(done.err.strip().splitlines()) == 1
    assert str(blocked) in done.err
