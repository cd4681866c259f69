"""The template of docs/plugin-template, built, installed elsewhere and at work; broken packages beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import Installation, Simulator, clean_environ, import_accounts
from tests.conftest import Eventually

TEMPLATE = Path(__file__).parents[2] / "docs" / "plugin-template"
UV = str(Path(sys.executable).with_name("uv"))
BUILD = (UV, "build", "--wheel", "--offline", "--no-build-isolation", "--python", sys.executable)

# Each raises at another moment.
BROKEN_IMPORT = "raise RuntimeError('no such library')\n"
BROKEN_START = """
def open_channel(settings): raise RuntimeError('no address')
def open_check(settings): raise RuntimeError('no address')
"""
BROKEN_CALL = """
def perform(context, work): raise ZeroDivisionError('off course')
def look(): raise ZeroDivisionError('off course')
def open_check(settings): return look
"""
BROKEN = {
    "broken_import": (BROKEN_IMPORT, {"stages": "sunk = {}:perform", "presets": "sunk = {}:PRESET"}),
    "broken_start": (
        BROKEN_START,
        {"channels": "adrift = {}:open_channel", "checks": "adrift = {}:open_check"},
    ),
    "broken_call": (BROKEN_CALL, {"stages": "lost = {}:perform", "checks": "lost = {}:open_check"}),
}


def built(folder: Path) -> Path:
    subprocess.run(
        [*BUILD, "--out-dir", str(folder), str(TEMPLATE)],
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of installed packages outside our environment."""
    target = tmp_path_factory.mktemp("packages")
    wheel = built(tmp_path_factory.mktemp("dist"))
    install = [UV, "pip", "install", "--offline", "--no-deps", "--python", sys.executable]
    subprocess.run([*install, "--target", str(target), str(wheel)], check=True, capture_output=True)
    for name, (code, entry_points) in BROKEN.items():
        (target / f"{name}.py").write_text(code)
        metadata = target / f"{name}-1.0.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups = (f"[clubsync.{kind}]\n{line.format(name)}\n" for kind, line in entry_points.items())
        (metadata / "entry_points.txt").write_text("".join(groups))
    return target


@pytest.fixture
def system(tmp_path: Path, simulator: Simulator, packages: Path) -> Iterator[Installation]:
    home = tmp_path / "home"
    environ = clean_environ(
        home,
        simulator,
        PYTHONPATH=str(packages),
        EXAMPLE_LOGBOOK=str(tmp_path / "logbook"),
        CLUBSYNC_NOTIFICATIONS__ROUTES__RUNS__CHANNELS="logbook",
    )
    installation = Installation(home, environ)
    import_accounts(installation, simulator.accounts()[:1])
    yield installation
    if installation.up is not None:
        installation.stop()


@pytest.mark.slow
def test_what_a_package_adds_works_and_what_is_broken_harms_nothing_else(
    system: Installation, tmp_path: Path, eventually: Eventually
) -> None:
    listed = {(one["kind"], one["name"]): one for one in system.run("plugins", "--json").json()}
    for kind, name in (
        ("channels", "logbook"),
        ("checks", "logbook"),
        ("stages", "head-count"),
        ("presets", "fixtures"),
    ):
        found = listed[kind, name]
        assert (found["package"], found["version"], found["health"]) == ("clubsync-example", "1.0", "ok")
    for kind in ("stages", "presets"):
        assert "RuntimeError: no such library" in listed[kind, "sunk"]["health"]

    system.start()
    done = system.run("sync", "association", "1", "--preset", "fixtures", "--wait", "--json")
    run = done.json()
    assert run["outcome"] == "partial"
    assert set(run["stages"]) == {"competitions", "teams", "games", "extras"}
    assert run["stages"]["games"]["outcome"] == "succeeded"
    message = run["stages"]["extras"]["message"]
    assert "stage lost: ZeroDivisionError: off course" in message
    assert "games in" in message

    with urllib.request.urlopen(f"http://127.0.0.1:{system.port}/health", timeout=30) as answer:
        checks = json.load(answer)["checks"]
    assert checks["logbook"][0]["status"] == checks["disk"][0]["status"] == "pass"
    assert checks["adrift"][0]["output"] == "broken: RuntimeError: no address"
    assert checks["lost"][0]["output"] == "off course"
    logbook = tmp_path / "logbook"
    eventually(lambda: logbook.exists() and "succeeded only in part" in logbook.read_text())
    assert system.stop() == 0
