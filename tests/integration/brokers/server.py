"""Redis servers that a test may stop, kill and start again on the same port and data."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

import redis

from brokers.embedded import find_server_binary
from tests.ports import free_port

START_DEADLINE_S = 30.0


class Server:
    """Keeps an append-only file, as production does; `options` as on the server's command line."""

    def __init__(self, folder: Path, *options: str, binary: Path | None = None) -> None:
        self._folder = folder
        self._options = options
        self._binary = binary or find_server_binary()
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        options = f"--port {self.port} --appendonly yes --appendfsync always --loglevel warning"
        self._process = subprocess.Popen(
            [
                *(str(self._binary), *options.split(), "--save", "", "--enable-debug-command", "yes"),
                *self._options,
            ],
            cwd=self._folder,
            stdout=subprocess.DEVNULL,
        )
        wait_until_it_answers(self.url)

    def signal(self, number: int) -> None:
        """SIGSTOP and SIGCONT: it stalls, and goes on."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class SentinelOf:
    """One Sentinel that watches a primary as `main`, and promotes a replica within seconds."""

    def __init__(self, folder: Path, primary: Server) -> None:
        self.port = free_port()
        self.url = f"redis+sentinel://127.0.0.1:{self.port}/main"
        file = folder / "sentinel.conf"
        file.write_text(
            f"port {self.port}\n"
            f"sentinel monitor main 127.0.0.1 {primary.port} 1\n"
            "sentinel down-after-milliseconds main 500\n"
            "sentinel failover-timeout main 2000\n"
        )
        self._process = subprocess.Popen(
            [str(find_server_binary()), str(file), "--sentinel"], cwd=folder, stdout=subprocess.DEVNULL
        )
        wait_until_it_answers(f"redis://127.0.0.1:{self.port}")

    def replicas(self) -> list[dict[str, Any]]:
        with redis.Redis(port=self.port) as client:
            found: list[dict[str, Any]] = client.sentinel_slaves("main")
            return found

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


def wait_until_it_answers(url: str) -> None:
    deadline = time.monotonic() + START_DEADLINE_S
    with redis.Redis.from_url(url) as client:
        while time.monotonic() < deadline:
            try:
                client.ping()
            except (redis.ConnectionError, redis.TimeoutError):
                time.sleep(0.02)
            else:
                return
    raise AssertionError(f"{url} did not start")
