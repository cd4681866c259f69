from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from brokers.clients import open_client
from brokers.embedded import find_server_binary
from tests.conftest import Eventually
from tests.ports import free_port


@contextlib.contextmanager
def server(folder: Path, configuration: str, *arguments: str) -> Iterator[int]:
    port = free_port()
    (folder / "server.conf").write_text(f"bind 127.0.0.1\nport {port}\n{configuration}")
    process = subprocess.Popen(
        [find_server_binary(), "server.conf", *arguments], cwd=folder, stdout=subprocess.DEVNULL
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def answers(client: redis.Redis) -> bool:
    with contextlib.suppress(redis.RedisError):
        return bool(client.ping())
    return False


def test_sentinel_url_reaches_the_primary(tmp_path: Path, redis_url: str, eventually: Eventually) -> None:
    primary = urlsplit(redis_url)
    configuration = (
        f"sentinel monitor main 127.0.0.1 {primary.port} 1\nsentinel auth-pass main {primary.password}\n"
    )
    with server(tmp_path, configuration, "--sentinel") as port:
        url = f"redis+sentinel://:{primary.password}@127.0.0.1:{port}/main"
        with open_client(url, max_connections=2) as client:
            eventually(lambda: answers(client))
            assert client.info("server")["tcp_port"] == primary.port


def test_cluster_url_reaches_the_node_that_holds_a_key(tmp_path: Path, eventually: Eventually) -> None:
    with server(tmp_path, f"cluster-enabled yes\ncluster-port {free_port()}\nsave ''\n") as port:
        with redis.Redis(port=port) as node:
            eventually(lambda: answers(node))
            node.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
            eventually(lambda: node.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        with open_client(f"redis+cluster://127.0.0.1:{port}", max_connections=2) as client:
            client.set("{clubsync}:key", "value")
            assert client.get("{clubsync}:key") == b"value"


def test_more_greenlets_than_connections_wait_instead_of_failing(redis_url: str) -> None:
    failures: list[Exception] = []
    with open_client(redis_url, max_connections=2) as client:

        def ask() -> None:
            try:
                client.blpop(["nothing-here"], timeout=0.05)
            except redis.RedisError as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "redis+sentinel://127.0.0.1:1/main"])
def test_opening_a_client_connects_to_nothing(url: str) -> None:
    open_client(url, max_connections=2).close()
