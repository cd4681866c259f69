"""`python -m web` as a platform runs it: a port, a signal, an exit status."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.conftest import Eventually
from tests.ports import free_port


@pytest.fixture
def port() -> int:
    return free_port()


def start(port: int, home: Path, redis_url: str, namespace: str) -> subprocess.Popen[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLUBSYNC_")}
    environ |= {
        "PORT": str(port),
        "REDIS_URL": redis_url,
        "CLUBSYNC_HOME": str(home),
        "CLUBSYNC_REDIS__NAMESPACE": namespace,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "web"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )


@pytest.fixture
def web(
    port: int, tmp_path: Path, redis_url: str, namespace: str, eventually: Eventually
) -> Iterator[subprocess.Popen[str]]:
    process = start(port, tmp_path, redis_url, namespace)

    def is_ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    eventually(is_ready, deadline_s=60)
    yield process
    process.kill()
    process.communicate()


def test_sigterm_ends_it_with_0_though_a_stream_is_open(
    web: subprocess.Popen[str], port: int, eventually: Eventually
) -> None:
    api = f"http://127.0.0.1:{port}/api/v1"
    organisation = {"mode": "club", "direct": True, "id": "1234"}
    run_url = httpx.post(f"{api}/syncs", json=organisation, timeout=30).json()["run_url"]
    lines: list[str] = []

    def follow() -> None:
        with httpx.stream("GET", f"http://127.0.0.1:{port}{run_url}/events", timeout=60) as stream:
            for line in stream.iter_lines():
                lines.append(line)  # noqa: PERF402 the test looks while it grows

    reader = threading.Thread(target=follow)
    reader.start()
    eventually(lambda: "event: run" in lines)
    web.send_signal(signal.SIGTERM)
    assert web.wait(30) == 0
    reader.join(30)
    assert not reader.is_alive()


def test_a_busy_port_is_said_in_one_sentence(
    tmp_path: Path, redis_url: str, namespace: str, port: int
) -> None:
    with socket.socket() as occupant:
        occupant.bind(("127.0.0.1", port))
        occupant.listen()
        process = start(port, tmp_path, redis_url, namespace)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 1
    (sentence,) = said.splitlines()
    assert f"port {port}" in sentence
    assert "PORT" in sentence
