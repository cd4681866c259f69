"""The broker on what production puts in Redis's place: a failover, a cluster, an encrypted line."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import dramatiq
import pytest
import redis
import trustme
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare
from tests.integration.brokers.proxy import Proxy
from tests.integration.brokers.server import SentinelOf, Server
from tests.ports import free_port

T = TypeVar("T")

CLUSTER_SLOTS = 16384


@pytest.fixture
def open_broker() -> Iterator[Callable[[str], PriorityRedisBroker]]:
    with contextlib.ExitStack() as stack:

        def open_at(url: str) -> PriorityRedisBroker:
            broker = PriorityRedisBroker(url=url)
            stack.callback(broker.client.close)
            stack.callback(broker.close)
            dramatiq.set_broker(broker)
            return broker

        yield open_at


def note(number: int) -> Message[Any]:
    return Message("default", "note", (number,), {}, {"broker_priority": "high"})


def send_until_it_is_taken(broker: PriorityRedisBroker, message: Message[Any]) -> bool:
    with contextlib.suppress(BrokerConnectionError):
        broker.enqueue(message)
        return True
    return False


def look(ask: Callable[[], T]) -> T | None:
    """The answer, or None while connections to the old primary are still found dead one by one."""
    try:
        return ask()
    except redis.RedisError:
        return None


class Replicated:
    """A primary, its replica and a Sentinel over both."""

    def __init__(self, folder: Path) -> None:
        folders = [folder / name for name in ("primary", "replica", "sentinel")]
        for one in folders:
            one.mkdir()
        self.primary = Server(folders[0], "--repl-diskless-sync-delay", "0")
        self.replica = Server(folders[1], "--replicaof", "127.0.0.1", str(self.primary.port))
        self.sentinel = SentinelOf(folders[2], self.primary)

    def has_replica(self) -> bool:
        return any(one["flags"] == "slave" for one in self.sentinel.replicas())

    def replica_holds_everything(self) -> bool:
        """Whether it holds, within a second, all that the primary has answered to."""
        with redis.Redis.from_url(self.primary.url) as client:
            client.set("so far", 1)
            return bool(client.wait(1, 1_000) == 1)

    def close(self) -> None:
        for one in (self.sentinel, self.replica, self.primary):
            one.kill()


@pytest.fixture
def replicated(tmp_path: Path) -> Iterator[Replicated]:
    replicated = Replicated(tmp_path)
    yield replicated
    replicated.close()


@pytest.mark.slow
def test_a_failover_by_sentinel_loses_nothing_that_was_replicated(
    replicated: Replicated,
    open_broker: Callable[[str], PriorityRedisBroker],
    working: Working,
    eventually: Eventually,
) -> None:
    eventually(replicated.has_replica, deadline_s=30)
    broker = open_broker(replicated.sentinel.url)
    done: set[int] = set()
    declare(broker, done.add, actor_name="note")
    broker.enqueue_many([(note(number), 60_000 if number % 2 else None) for number in range(40)])
    eventually(replicated.replica_holds_everything, deadline_s=30)
    replicated.primary.kill()
    later = note(99)
    eventually(lambda: send_until_it_is_taken(broker, later), deadline_s=60)
    with working(on=broker):
        eventually(lambda: done == {*range(0, 40, 2), 99}, deadline_s=60)
    state = eventually(lambda: look(lambda: Operations(broker).queue("default")), deadline_s=30)
    assert state is not None
    assert (state.ledger.enqueued, state.delayed, state.ledger.is_balanced) == (41, 20, True)


@pytest.mark.slow
def test_a_worker_goes_on_at_the_promoted_replica(
    replicated: Replicated,
    open_broker: Callable[[str], PriorityRedisBroker],
    working: Working,
    eventually: Eventually,
) -> None:
    eventually(replicated.has_replica, deadline_s=30)
    broker = open_broker(replicated.sentinel.url)
    done: set[int] = set()
    declare(broker, done.add, actor_name="note")
    with working(on=broker):
        broker.enqueue(note(1))
        eventually(lambda: done == {1})
        eventually(replicated.replica_holds_everything, deadline_s=30)
        replicated.primary.kill()
        second = note(2)
        eventually(lambda: send_until_it_is_taken(broker, second), deadline_s=60)
        eventually(lambda: done == {1, 2}, deadline_s=60)
        eventually(lambda: look(Operations(broker).workers), deadline_s=60)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[list[Server]]:
    """Two nodes that share the slots."""
    nodes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        bus = str(free_port())
        nodes.append(Server(tmp_path / name, *("--cluster-enabled", "yes", "--cluster-port", bus)))
    half = CLUSTER_SLOTS // 2
    with redis.Redis(port=nodes[0].port) as first, redis.Redis(port=nodes[1].port) as second:
        first.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, half - 1)
        second.execute_command("CLUSTER", "ADDSLOTSRANGE", half, CLUSTER_SLOTS - 1)
        bus = second.config_get("cluster-port")["cluster-port"]
        first.execute_command("CLUSTER", "MEET", "127.0.0.1", nodes[1].port, bus)
    yield nodes
    for node in nodes:
        node.kill()


def knows_all_slots(node: Server) -> bool:
    with redis.Redis(port=node.port) as client:
        about: Any = client.execute_command("CLUSTER", "INFO")
    text = about.decode() if isinstance(about, bytes) else str(about)
    return "cluster_state:ok" in text.replace("'", "").replace(" ", "") and "16384" in text


def test_a_namespace_lives_in_one_slot_of_a_cluster(
    cluster: list[Server],
    open_broker: Callable[[str], PriorityRedisBroker],
    working: Working,
    eventually: Eventually,
) -> None:
    for node in cluster:
        eventually(lambda node=node: knows_all_slots(node), deadline_s=30)  # type: ignore[misc]
    broker = open_broker(f"redis+cluster://127.0.0.1:{cluster[0].port},127.0.0.1:{cluster[1].port}")
    done: set[int] = set()
    declare(broker, done.add, actor_name="note")
    broker.enqueue_many([(note(number), number % 3 * 20) for number in range(60)])
    with working(on=broker):
        broker.join("default", timeout=30_000)
        assert Operations(broker).workers()
    assert done == set(range(60))
    assert Operations(broker).ledger("default").is_balanced


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def encrypted(redis_url: str, authority: trustme.CA) -> Iterator[Proxy]:
    """A line that ends in TLS, in front of the server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    proxy = Proxy(redis_url, tls=context)
    yield proxy
    proxy.close()


def test_an_encrypted_line_carries_everything(
    encrypted: Proxy,
    authority: trustme.CA,
    namespace: str,
    tmp_path: Path,
    working: Working,
) -> None:
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    broker = PriorityRedisBroker(
        url=f"{encrypted.url}?ssl_ca_certs={tmp_path / 'ca.pem'}", namespace=namespace
    )
    done: list[int] = []
    declare(broker, done.append, actor_name="note")
    broker.enqueue_many([note(number) for number in range(20)])
    with working(on=broker):
        broker.join("default", timeout=30_000)
    assert sorted(done) == list(range(20))
    broker.close()
    broker.client.close()


def test_a_server_that_nobody_vouches_for_is_not_spoken_to(encrypted: Proxy, namespace: str) -> None:
    broker = PriorityRedisBroker(url=encrypted.url, namespace=namespace)
    with pytest.raises(BrokerConnectionError, match="certificate"):
        broker.enqueue(note(1))
    broker.close()
    broker.client.close()
