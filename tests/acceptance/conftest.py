"""The whole system as real processes: `clubsync up`, a simulator beside it, and the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from cli.__main__ import main
from cli.sockets import is_listening
from tests.ports import free_port

CLUBSYNC = str(Path(sys.executable).with_name("clubsync"))
COMMAND_WITHIN_S = 200.0
STARTED_WITHIN_S = 90.0
ENDED_WITHIN_S = 60.0
POLL_S = 0.05


@dataclass(slots=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.out, self.err
        return json.loads(self.out)


@dataclass(slots=True)
class Simulator:
    """A simulator of the test's own, with its faults and truth."""

    process: subprocess.Popen[str]
    address: str

    def ask(self, method: str, path: str, body: object = None) -> Any:
        request = urllib.request.Request(
            f"{self.address}/_simulator/{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def accounts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "accounts?tenant=ca")
        return found


@dataclass(slots=True)
class Installation:
    """A home of its own with everything that runs in it."""

    home: Path
    environ: dict[str, str]
    up: subprocess.Popen[str] | None = None
    port: int = 0
    logs: list[Path] = field(default_factory=list)

    def run(self, *arguments: str, **environ: str) -> Finished:
        """A command in this process: starting Python takes a hundred times as long as most commands.

        Not where packages are installed that this process does not see.
        """
        if self.environ.get("PYTHONPATH") != os.environ.get("PYTHONPATH"):
            return self.run_apart(*arguments, **environ)
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {**self.environ, **environ}, clear=True),
            mock.patch.object(sys, "argv", ["clubsync", *arguments]),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        assert isinstance(ended.value.code, int)
        return Finished(ended.value.code, out.getvalue(), err.getvalue())

    def run_apart(self, *arguments: str, **environ: str) -> Finished:
        """A command as a process of its own, as a shell starts it."""
        done = subprocess.run(
            [CLUBSYNC, *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=COMMAND_WITHIN_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr)

    def start(self, **environ: str) -> None:
        """`clubsync up`, until a worker and the scheduler are registered and the port answers."""
        self.port = free_port()
        log = self.home.with_suffix(f".{len(self.logs)}.log")
        self.logs.append(log)
        with log.open("w") as output:
            self.up = subprocess.Popen(
                [CLUBSYNC, "up"],
                env={**self.environ, **environ, "PORT": str(self.port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        deadline_s = time.monotonic() + STARTED_WITHIN_S
        while not self._is_up():
            assert self.up.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s, log.read_text()
            time.sleep(POLL_S)

    def stop(self) -> int:
        """One SIGTERM; answers the exit code."""
        assert self.up is not None
        self.up.send_signal(signal.SIGTERM)
        code = self.up.wait(ENDED_WITHIN_S)
        self.up = None
        return code

    def _is_up(self) -> bool:
        if not is_listening(self.port):
            return False
        listed = self.run("workers", "--json")
        if listed.code != 0:
            return False
        roles = {service["role"] for service in listed.json()["services"]}
        return roles >= {"worker", "scheduler", "web"}


@contextlib.contextmanager
def running_simulator() -> Iterator[Simulator]:
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    said = re.search(r"http://\S+", process.stdout.readline())
    assert said is not None
    yield Simulator(process, said[0])
    process.terminate()
    process.wait(30)
    process.stdout.close()


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    with running_simulator() as simulator:
        yield simulator


def clean_environ(home: Path, simulator: Simulator | None = None, **more: str) -> dict[str, str]:
    """Nothing of the caller's configuration; the given provider and chat, quick retries."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("CLUBSYNC_") and name not in ("REDIS_URL", "DATABASE_URL", "PORT")
    }
    environ |= {"CLUBSYNC_HOME": str(home)}
    if simulator is not None:
        environ |= {
            "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": simulator.address,
            "CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": "simulator",
            "CLUBSYNC_PROVIDERS__PLAYHQ__REQUESTS_PER_S": "500",
            "CLUBSYNC_PROVIDERS__PLAYHQ__CONCURRENCY": "16",
            "CLUBSYNC_NOTIFICATIONS__SLACK__WEBHOOK_URL": f"{simulator.address}/slack/webhook/test",
            "CLUBSYNC_SYNC__ATTEMPTS": "1",
            "CLUBSYNC_HTTP__ATTEMPTS": "2",
            "CLUBSYNC_HTTP__RETRY_BASE_S": "0.05",
        }
    return {**environ, **more}


def import_accounts(installation: Installation, entries: Sequence[Mapping[str, Any]]) -> None:
    """The entries of a simulator, by the command, in their order."""
    lines = [
        json.dumps({key: entry[key] for key in ("type", "name", "provider", "organisation")})
        for entry in entries
    ]
    path = installation.home.with_suffix(".jsonl")
    path.write_text("\n".join(lines))
    done = installation.run("accounts", "import", str(path))
    assert done.code == 0, done.err
