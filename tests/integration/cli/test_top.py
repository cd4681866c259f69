"""The live view of a terminal: what it shows once, and that it redraws until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from dramatiq import Message
from rich.console import Console

from brokers.redis import PriorityRedisBroker
from cli.backend import Backend
from cli.top import top
from cli.top_view import redraw
from stores.redis.progress import Progress
from stores.redis.registry import Registry, describe_process
from sync.clock import SystemClock
from sync.ports import Progressed
from sync.report import Mode, Run, RunState, Stage
from tests.conftest import Eventually
from tests.ports import free_port

CLUBSYNC = str(Path(sys.executable).with_name("clubsync"))


@pytest.fixture(autouse=True)
def busy_system(
    redis_url: str,
    redis_client: redis.Redis,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[None]:
    """A worker lives, one message waits, one sync is half done."""
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    clock = SystemClock()
    Registry(redis_client, namespace, clock).beat(describe_process("worker", clock))
    broker = PriorityRedisBroker(url=redis_url, namespace=namespace)
    broker.enqueue(Message("updates", "update_account", (), {}, {"broker_priority": "urgent"}))
    runs = Backend().stores.runs
    run = Run(
        id="ab" * 16,
        mode=Mode.ASSOCIATION,
        preset="full",
        state=RunState.QUEUED,
        requested_at=clock.now(),
        organisation_id="5f2c7a1e-0000-4000-8000-000000000001",
    )
    runs.request(run)
    runs.save(replace(run, state=RunState.RUNNING, started_at=clock.now() - timedelta(seconds=40)))
    Progress(redis_client, namespace).publish(
        Progressed(run_id=run.id, stage=Stage.GAMES, done=10, total=40, records=250)
    )
    yield
    broker.close()
    broker.client.close()


def test_one_look_shows_what_waits_what_runs_how_far_and_who_lives() -> None:
    result = CliRunner().invoke(top, ["--once"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    updates = next(line for line in lines if line.startswith("updates"))
    assert updates.split()[1] == "1"
    running = next(line for line in lines if "10/40" in line)
    assert "games" in running
    assert running.split()[-1].startswith("2:"), "a quarter took 40 s, so two minutes are left"
    assert any(line.startswith(f"worker {os.getpid()}") for line in lines)


def test_programs_read_the_same_as_json() -> None:
    result = CliRunner().invoke(top, ["--json"])
    document = json.loads(result.stdout)
    (syncing,) = document["syncing"]
    assert (syncing["stage"], syncing["done"], syncing["total"]) == ("games", 10, 40)
    assert [queue["waiting"]["urgent"] for queue in document["queues"] if queue["name"] == "updates"] == [1]


def test_it_redraws_until_ctrl_c(eventually: Eventually) -> None:
    terminal, far_end = pty.openpty()
    process = subprocess.Popen(
        [CLUBSYNC, "top", "--every", "0.2"],
        stdin=far_end,
        stdout=far_end,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "140", "LINES": "40"},
    )
    os.close(far_end)
    shown = Shown(terminal)
    try:
        eventually(lambda: shown.text.count(b"updates") >= 3, deadline_s=30)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def test_a_redis_that_goes_away_is_said_and_asked_again() -> None:
    backend = Backend(redis_url=f"redis://127.0.0.1:{free_port()}/0")
    terminal = Console(width=100)
    with terminal.capture() as shown:
        terminal.print(redraw(backend))
    assert "Redis did not answer" in shown.get()
    assert "asking again" in shown.get()


class Shown:
    """What came to a terminal so far; read all the time, or who writes to it would stand still."""

    def __init__(self, terminal: int) -> None:
        self.text = b""
        self._terminal = terminal
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(OSError):  # the far end is closed
            while chunk := os.read(self._terminal, 65536):
                self.text += chunk
