"""A package that nobody here knows, installed from its wheel, brings a provider and a CMS of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "tests" / "packages" / "tennis"
UV = Path(sys.executable).with_name("uv")
_TIMEOUT_S = 200

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not UV.exists(), reason="no uv: ./test installs it")]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    folder = tmp_path_factory.mktemp("tennis")
    dist, site = folder / "dist", folder / "site"
    run_uv("build", "--wheel", "--out-dir", dist, PACKAGE)
    (wheel,) = dist.glob("*.whl")
    run_uv("pip", "install", "--no-deps", "--target", site, wheel)
    return site


def run_uv(*arguments: str | Path) -> None:
    subprocess.run([UV, "--quiet", "--offline", *arguments], check=True, timeout=_TIMEOUT_S)


@pytest.fixture
def environ(installed: Path, tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("CLUBSYNC_")}
    return {
        **own,
        "PYTHONPATH": f"{installed}:{ROOT}",
        "CLUBSYNC_ENV": "development",
        "CLUBSYNC_HOME": str(tmp_path / "home"),
        "CLUBSYNC_PROVIDERS__DEFAULT": "tennis",
        "CLUBSYNC_CMS__KIND": "clubhouse",
        "CLUBHOUSE_FILE": str(tmp_path / "clubhouse.json"),
    }


def clubsync(environ: dict[str, str], *arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_real_syncs_go_from_its_provider_to_its_cms(environ: dict[str, str]) -> None:
    sync = ("sync", "association", "4711", "--direct", "--wait", "--json")
    first = clubsync(environ, *sync)
    held = Path(environ["CLUBHOUSE_FILE"]).read_text()
    second = clubsync(environ, *sync)

    assert (first["outcome"], second["outcome"]) == ("succeeded", "succeeded")
    assert {shelf: list(records) for shelf, records in json.loads(held).items() if records} == {
        "season": ["summer"],
        "grade": ["singles"],
        "team": ["baseliners", "volleyers"],
        "game": ["final"],
        "ladder": ["singles::"],
    }
    assert json.loads(held)["game"]["final"]["days"][0]["ground"] == "Court 1"
    assert sum(stage["created"] + stage["updated"] for stage in second["stages"].values()) == 0


def test_it_is_listed_beside_our_own(environ: dict[str, str]) -> None:
    listed = clubsync(environ, "plugins", "--json")

    assert {"tennis", "clubhouse"} <= {entry["name"] for entry in listed}
