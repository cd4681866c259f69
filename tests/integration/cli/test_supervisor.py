"""The supervisor ends what it started, properly, and starts again what crashed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from cli.supervisor import Supervisor
from sync.errors import ConfigurationError
from tests.conftest import Eventually

COUNT_TERMS = """
import signal, sys, time
received = []
signal.signal(signal.SIGTERM, lambda *_: received.append(1))
print("ready", flush=True)
while not received:
    time.sleep(0.01)
time.sleep(0.2)
print(f"terms={len(received)}", flush=True)
"""
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(15, 1); time.sleep(60)"])
print(f"child={child.pid}", flush=True)
time.sleep(60)
"""


class Lines:
    """What the children said, and waiting for a line."""

    def __init__(self, eventually: Eventually) -> None:
        self.said: list[str] = []
        self._eventually = eventually

    def __call__(self, _name: str, line: str) -> None:
        self.said.append(line)

    def wait_for(self, start: str) -> str:
        self._eventually(lambda: any(line.startswith(start) for line in self.said))
        return next(line for line in self.said if line.startswith(start))


@pytest.fixture
def lines(eventually: Eventually) -> Lines:
    return Lines(eventually)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_stop_sends_each_child_exactly_one_sigterm(lines: Lines) -> None:
    supervisor = Supervisor(os.environ, say=lines)
    supervisor.start("counter", python(COUNT_TERMS))
    lines.wait_for("ready")
    assert supervisor.stop(grace_s=30)
    assert lines.wait_for("terms=") == "terms=1"


def test_children_may_need_something_while_they_run_and_while_they_end(lines: Lines, tmp_path: Path) -> None:
    needed = tmp_path / "needed"
    wait_for_it = f"""
import pathlib, signal, time
signal.signal(signal.SIGTERM, lambda *_: print("ending", flush=True))
print("ready", flush=True)
signal.pause()
while not pathlib.Path({str(needed)!r}).exists():
    time.sleep(0.01)
"""
    supervisor = Supervisor(os.environ, say=lines, meanwhile=needed.touch)
    child = supervisor.start("needy", python(wait_for_it))
    lines.wait_for("ready")
    supervisor.watch(needed.exists)
    needed.unlink()
    assert child.is_alive
    assert supervisor.stop(grace_s=30)


def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(
    lines: Lines, eventually: Eventually
) -> None:
    supervisor = Supervisor(os.environ, say=lines)
    supervisor.start("stubborn", python(STUBBORN))
    grandchild = int(lines.wait_for("child=").partition("=")[2])
    assert not supervisor.stop(grace_s=0.2)
    eventually(lambda: has_ended(grandchild))


def has_ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_crashed_child_is_started_again_and_a_finished_one_is_not(
    lines: Lines, tmp_path: Path, eventually: Eventually
) -> None:
    crash_once = f"""
import pathlib, sys
marker = pathlib.Path({str(tmp_path / "marker")!r})
if not marker.exists():
    marker.touch()
    sys.exit(3)
print("second life", flush=True)
"""
    supervisor = Supervisor(os.environ, say=lines)
    crashing = supervisor.start("crashing", python(crash_once))
    supervisor.watch(should_stop=lambda: False)  # ends by itself once the child has ended well
    assert crashing.restarts == 1
    assert lines.wait_for("second life")
    assert any("ended with code 3" in line for line in lines.said)
    assert any("not started again" in line for line in lines.said)


def test_a_crashed_child_leaves_no_child_of_its_own_behind(
    lines: Lines, tmp_path: Path, eventually: Eventually
) -> None:
    crash_once = f"""
import pathlib, subprocess, sys
marker = pathlib.Path({str(tmp_path / "marker")!r})
if not marker.exists():
    marker.touch()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(f"child={{child.pid}}", flush=True)
    sys.exit(3)
"""
    supervisor = Supervisor(os.environ, say=lines)
    supervisor.start("master", python(crash_once))
    supervisor.watch(should_stop=lambda: False)
    eventually(_is_gone(int(lines.wait_for("child=").partition("=")[2])))


def test_a_child_that_dies_while_starting_is_named_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor(os.environ, say=lambda *_: None, log_dir=tmp_path)
    supervisor.start("web", python("import sys; sys.exit('port 8000 is taken')"))
    with pytest.raises(ConfigurationError, match="web ended while starting: port 8000 is taken"):
        supervisor.wait_until(lambda: False, what="web", timeout_s=30)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ties children to their parent's life")
def test_children_end_with_a_killed_supervisor(eventually: Eventually, lines: Lines) -> None:
    code = """
import os, sys, time
from cli.supervisor import Supervisor
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
child = Supervisor(os.environ, say=print).start("sleeper", sleep)
print(child.process.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen(python(code), stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    eventually(_is_gone(child))


def _is_gone(pid: int) -> Callable[[], bool]:
    return lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"
