"""The web process that is measured, started as the Procfile starts it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import psutil
from sqlalchemy import Engine

from stores.sql import migrate
from stores.sql.engine import open_engine
from stores.sql.tokens import Role, Tokens

ROOT = Path(__file__).parents[2]
BOOT_DEADLINE_S = 60.0
# More than any measurement asks: the limit itself is tested elsewhere.
REQUESTS_PER_S = 1_000_000


@dataclass(frozen=True)
class Site:
    """Where it listens, what it stores in, and a token for each of its callers."""

    port: int
    process: psutil.Process
    engine: Engine
    redis_url: str
    namespace: str

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def token(self, role: Role) -> str:
        return Tokens(self.engine).issue(f"bench-{uuid.uuid4().hex[:6]}", role)[1]

    def cpu_s(self) -> float:
        """Seconds of processor time that the web process has taken."""
        times = self.process.cpu_times()
        return float(times.user + times.system)


@dataclass(frozen=True, slots=True)
class Backing:
    """An empty database and a namespace of a Redis, which outlive the web process."""

    database_url: str
    redis_url: str
    namespace: str

    @property
    def engine(self) -> Engine:
        engine = open_engine(self.database_url, busy_timeout_s=60)
        migrate.upgrade(engine)
        return engine


@contextlib.contextmanager
def serving(backing: Backing, home: Path) -> Iterator[Site]:
    """A web process over this database and Redis, until the end of the block."""
    engine = backing.engine
    port = _free_port()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CLUBSYNC_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "web"],
        cwd=ROOT,
        env={
            **environ,
            "PORT": str(port),
            "REDIS_URL": backing.redis_url,
            "DATABASE_URL": backing.database_url,
            "CLUBSYNC_HOME": str(home),
            "CLUBSYNC_REDIS__NAMESPACE": backing.namespace,
            "CLUBSYNC_WEB__REQUESTS_PER_S": str(REQUESTS_PER_S),
        },
    )
    try:
        _await_live(port)
        yield Site(port, psutil.Process(process.pid), engine, backing.redis_url, backing.namespace)
    finally:
        process.terminate()
        process.wait(10)
        engine.dispose()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_live(port: int) -> None:
    deadline_s = time.monotonic() + BOOT_DEADLINE_S
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=5).close()
        except (URLError, OSError):
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            return
