"""`python -m simulator` as a process: it says where it listens, and ends when told."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.integration.simulator.conftest import HEADERS


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "simulator", "--port", "0", "--associations", "20", "--seed", "7"]
    started = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with started:
        yield started
        if started.poll() is None:
            started.kill()


def test_it_prints_its_address_serves_and_ends_on_sigterm(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    said = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
    assert said is not None
    with httpx.Client(base_url=said[0], headers=HEADERS, timeout=30) as http:
        accounts = http.get("/_simulator/accounts").json()
        assert sum(account["type"] == "association" for account in accounts) == 20
        # An open connection must not hold the process back.
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_a_busy_port_is_one_clear_sentence(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    port = process.stdout.readline().strip().rpartition(":")[2]
    second = subprocess.run(
        [sys.executable, "-m", "simulator", "--port", port],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert port in second.stderr
