from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import redis

from brokers import embedded
from sync.errors import ConfigurationError
from tests.conftest import Eventually

START_AND_WAIT = """
import sys, time
from pathlib import Path
from brokers import embedded
server = embedded.start(Path(sys.argv[1]), outlives_starter=sys.argv[2] == "outlives")
print(server.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    if url := embedded.discover(tmp_path):
        with redis.Redis.from_url(url) as client:
            client.shutdown(nosave=True)


def start_in_other_process(home: Path, fate: str) -> tuple[subprocess.Popen[str], int]:
    starter = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT, str(home), fate], stdout=subprocess.PIPE, text=True
    )
    assert starter.stdout is not None
    with starter.stdout:
        return starter, int(starter.stdout.readline())


def test_server_keeps_every_write_across_a_restart_on_the_same_url(home: Path) -> None:
    first = embedded.start(home)
    with redis.Redis.from_url(first.url) as client:
        client.set("kept", "yes")
        assert client.config_get("appendonly") == {"appendonly": "yes"}
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    first.stop()
    second = embedded.start(home)
    assert second.url == first.url
    with redis.Redis.from_url(second.url, decode_responses=True) as client:
        assert client.get("kept") == "yes"
    second.stop()


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_server_that_ended_unasked_is_told_apart(
    home: Path, eventually: Eventually, sign: signal.Signals
) -> None:
    server = embedded.start(home)
    found = embedded.start(home)
    assert not server.has_ended
    os.kill(server.pid, sign)
    eventually(lambda: server.has_ended)
    assert not found.has_ended
    again = embedded.start(home)
    assert again.url == server.url
    again.stop()
    assert not again.has_ended


def test_second_start_finds_the_live_server_and_leaves_it_running(home: Path) -> None:
    first = embedded.start(home)
    second = embedded.start(home)
    assert (second.pid, second.is_ours) == (first.pid, False)
    second.stop()
    assert embedded.discover(home) == first.url
    first.stop()
    assert embedded.discover(home) is None


def test_starts_at_the_same_moment_share_one_server(home: Path) -> None:
    starters = [start_in_other_process(home, "ends") for _ in range(3)]
    try:
        assert len({pid for _, pid in starters}) == 1
    finally:
        for starter, _ in starters:
            starter.kill()
            starter.wait()


def test_stop_waits_for_the_other_clients_and_leaves_no_process(home: Path, eventually: Eventually) -> None:
    server = embedded.start(home)
    leaving = redis.Redis.from_url(server.url)
    leaving.ping()
    with leaving:
        leaving.rpush("acks", "one")
    server.stop()
    eventually(lambda: not psutil.pid_exists(server.pid))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells children of a death on Linux only")
def test_server_ends_with_a_killed_starter(home: Path, eventually: Eventually) -> None:
    starter, pid = start_in_other_process(home, "ends")
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    eventually(lambda: not psutil.pid_exists(pid))


def test_server_outlives_a_killed_starter_when_asked_to(home: Path) -> None:
    starter, pid = start_in_other_process(home, "outlives")
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    assert embedded.start(home).pid == pid


def test_half_finished_earlier_start_is_overcome(home: Path) -> None:
    folder = home / "redis"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "address.json").write_text('{"port": 1')
    (folder / "valkey.new").write_text("half")
    server = embedded.start(home)
    assert embedded.discover(home) == server.url
    server.stop()


def test_interrupt_while_it_starts_leaves_no_server_behind(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(client: redis.Redis) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as interrupted:
        interrupted.setattr(embedded, "_answers", interrupt)
        with pytest.raises(KeyboardInterrupt):
            embedded.start(home)
    assert embedded.discover(home) is None
    with (home / "redis" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_stale_address_of_a_port_now_taken_by_a_stranger_is_replaced(home: Path) -> None:
    first = embedded.start(home)
    first.stop()
    with socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        stranger.bind(("127.0.0.1", int(first.url.rsplit(":", 1)[1].split("/")[0])))
        stranger.listen()
        second = embedded.start(home)
        assert second.url != first.url
        second.stop()


def test_lock_held_by_something_that_never_answers_is_reported(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "START_DEADLINE_S", 0.05)
    folder = home / "redis"
    folder.mkdir()
    with (folder / "lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(ConfigurationError, match="holds the lock but no server answers"):
            embedded.start(home)


def test_password_is_private_and_not_on_the_command_line(home: Path) -> None:
    server = embedded.start(home)
    for name in ("valkey.conf", "address.json"):
        assert stat.S_IMODE((home / "redis" / name).stat().st_mode) == 0o600
    password = server.url.split(":")[2].split("@")[0]
    assert password not in " ".join(psutil.Process(server.pid).cmdline())
    stranger = redis.Redis.from_url(server.url.replace(password, "wrong"))
    with stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()
    server.stop()


def test_unwritable_home_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match=r"cannot keep its data there .*CLUBSYNC_HOME"):
        embedded.start(tmp_path / "file")


def test_damaged_data_is_a_clear_error_with_the_servers_own_words(home: Path) -> None:
    folder = home / "redis"
    (folder / "appendonlydir").mkdir(parents=True)
    (folder / "appendonlydir" / "appendonly.aof.manifest").write_text("nonsense\n")
    with pytest.raises(ConfigurationError, match=r"does not start: .*manifest"):
        embedded.start(home)


def test_missing_server_names_the_line_that_installs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigurationError, match=r"run `(sudo apt-get|brew) install .*REDIS_URL"):
        embedded.find_server_binary()


def test_server_on_path_is_used_when_the_wheel_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "redis-server"
    program.touch(mode=0o755)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", os.fspath(tmp_path))
    assert embedded.find_server_binary() == program
