"""What Redis and the network do to it: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Message
from dramatiq.errors import BrokerConnectionError, ConnectionClosed

from brokers.errors import BrokerFull
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare
from tests.integration.brokers.proxy import Proxy
from tests.integration.brokers.server import Server

DEBIANS_REDIS = Path("/usr/bin/redis-server")


@pytest.fixture
def proxy(redis_url: str) -> Iterator[Proxy]:
    proxy = Proxy(redis_url)
    yield proxy
    proxy.close()


@pytest.fixture
def far(proxy: Proxy, namespace: str) -> Iterator[PriorityRedisBroker]:
    """A broker that reaches Redis through the proxy."""
    broker = PriorityRedisBroker(url=proxy.url, namespace=namespace)
    yield broker
    proxy.flow()
    broker.close()
    broker.client.close()


@pytest.fixture(params=["embedded", "debian"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Server]:
    """Our own Valkey, and the oldest Redis that is promised to work."""
    binary = None
    if request.param == "debian":
        binary = DEBIANS_REDIS
        if not binary.exists():
            reason = f"no {binary}: apt-get install redis-server"
            if os.environ.get("TEST_REQUIRE") == "all":
                pytest.fail(reason)
            pytest.skip(reason)
    server = Server(tmp_path, binary=binary)
    yield server
    server.kill()


@pytest.fixture
def lone(server: Server) -> Iterator[PriorityRedisBroker]:
    """A broker on a server of its own."""
    broker = PriorityRedisBroker(url=server.url)
    yield broker
    broker.close()
    broker.client.close()


@pytest.fixture
def wait_until_sending_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, eventually: Eventually
) -> Callable[[], None]:
    """Until a middleware could not send what it sends after a message; it tries only for a moment."""
    monkeypatch.setattr("dramatiq.worker.POST_PROCESS_MESSAGE_RETRY_DELAY_SECS", 0.2)
    monkeypatch.setattr("brokers.sender.FIRST_PAUSE_S", 0.01)

    def wait() -> None:
        eventually(lambda: "Unexpected failure in" in caplog.text)

    return wait


def note(number: int, **options: Any) -> Message[Any]:
    return Message("default", "note", (number,), {}, options)


def test_a_send_whose_answer_was_lost_is_not_doubled(
    far: PriorityRedisBroker, proxy: Proxy, broker: PriorityRedisBroker, working: Working
) -> None:
    """Even when the message is done before the send is repeated."""
    done: list[int] = []
    declare(broker, done.append, actor_name="note")
    far.enqueue(note(0))  # the connection is open, the script known
    with working():
        proxy.answers_to_lose = 1
        far.enqueue(note(1))
        assert proxy.lost.is_set()
        broker.join("default", timeout=30_000)
    assert sorted(done) == [0, 1]


def test_a_batch_whose_answers_were_lost_is_not_doubled(
    far: PriorityRedisBroker, proxy: Proxy, operations: Operations
) -> None:
    far.enqueue(note(-1))
    proxy.answers_to_lose = 1
    assert len(far.enqueue_many([note(number) for number in range(3000)])) == 3000
    assert proxy.lost.is_set()
    assert operations.ledger("default").enqueued == 3001


def test_messages_lent_in_a_lost_answer_come_back(
    far: PriorityRedisBroker, proxy: Proxy, broker: PriorityRedisBroker, working: Working
) -> None:
    done: list[int] = []
    declare(far, done.append, actor_name="note")
    with working(on=far):
        for number in range(30):
            proxy.answers_to_lose = 1
            broker.enqueue(note(number))
            time.sleep(0.02)  # the pace of the load
        broker.join("default", timeout=30_000)
    assert sorted(set(done)) == list(range(30))


def test_reset_connections_lose_nothing(
    far: PriorityRedisBroker,
    proxy: Proxy,
    broker: PriorityRedisBroker,
    working: Working,
    eventually: Eventually,
) -> None:
    done: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.005)  # the load
        done.append(number)

    def has_gone(beyond: int) -> bool:
        return len(done) > beyond

    declare(far, slow, actor_name="note")
    broker.enqueue_many([note(number) for number in range(400)])
    with working(on=far, threads=8):
        for beyond in range(0, 300, 60):
            eventually(partial(has_gone, beyond))
            proxy.cut()
        broker.join("default", timeout=30_000)
    assert set(done) == set(range(400))
    ledger = Operations(broker).ledger("default")
    assert ledger.done == 400
    assert ledger.is_balanced


def test_a_retry_that_cannot_be_sent_is_not_lost(
    far: PriorityRedisBroker,
    proxy: Proxy,
    broker: PriorityRedisBroker,
    working: Working,
    wait_until_sending_is_given_up: Callable[[], None],
) -> None:
    """dramatiq swallows the failure of its Retries and acknowledges the message."""
    attempts: list[int] = []

    def fail_once(number: int) -> None:
        attempts.append(number)
        if len(attempts) == 1:
            proxy.answers_to_lose = 1_000_000  # Redis is gone
            proxy.cut()
            raise RuntimeError("fails while Redis is away")

    declare(far, fail_once, actor_name="note", min_backoff=50, max_backoff=50)
    with working(on=far):
        broker.enqueue(note(1))
        wait_until_sending_is_given_up()
        proxy.answers_to_lose = 0
        broker.join("default", timeout=30_000)
    assert attempts == [1, 1]


def test_the_next_of_a_pipeline_that_cannot_be_sent_is_not_lost(
    far: PriorityRedisBroker,
    proxy: Proxy,
    broker: PriorityRedisBroker,
    working: Working,
    wait_until_sending_is_given_up: Callable[[], None],
) -> None:
    seen: list[int] = []

    @dramatiq.actor(broker=far)
    def first(number: int) -> int:
        proxy.answers_to_lose = 1_000_000
        proxy.cut()
        return number + 1

    @dramatiq.actor(broker=far)
    def second(number: int) -> None:
        seen.append(number)

    with working(on=far):
        dramatiq.pipeline([first.message(1), Message("default", "second", (), {}, {})], broker=broker).run()
        wait_until_sending_is_given_up()
        proxy.answers_to_lose = 0
        broker.join("default", timeout=30_000)
    assert set(seen) == {2}


def test_a_stall_longer_than_every_timeout_loses_and_doubles_nothing(
    far: PriorityRedisBroker,
    proxy: Proxy,
    broker: PriorityRedisBroker,
    working: Working,
    operations: Operations,
) -> None:
    done: list[int] = []
    declare(far, done.append, actor_name="note")
    with working(on=far):
        far.enqueue(note(0))
        proxy.stall()
        sender = threading.Thread(target=far.enqueue, args=(note(1),))
        sender.start()
        time.sleep(7)  # the stall itself
        proxy.flow()
        sender.join(30)
        assert not sender.is_alive()
        broker.join("default", timeout=30_000)
    assert sorted(done) == [0, 1]
    assert operations.ledger("default").done == 2


def test_functions_are_loaded_again_after_a_flush(broker: PriorityRedisBroker, working: Working) -> None:
    done: list[int] = []
    declare(broker, done.append, actor_name="note")
    with working():
        broker.enqueue(note(0))
        broker.join("default", timeout=30_000)
        broker.client.function_flush()
        broker.client.script_flush()
        broker.enqueue(note(1))
        broker.join("default", timeout=30_000)
        broker.client.function_flush()
        broker.enqueue_many([note(number) for number in range(2, 2000)])
        broker.join("default", timeout=30_000)
    assert sorted(done) == list(range(2000))


def test_a_killed_redis_comes_back_with_everything(
    lone: PriorityRedisBroker, server: Server, working: Working, eventually: Eventually
) -> None:
    done: list[int] = []

    def slow(number: int) -> None:
        time.sleep(0.01)  # the load
        done.append(number)

    declare(lone, slow, actor_name="note")
    lone.enqueue_many([note(number) for number in range(100)])
    lone.enqueue_many([(note(number), 1500) for number in range(100, 120)])
    with working(on=lone):
        eventually(lambda: len(done) > 20)
        server.kill()
        time.sleep(0.5)  # the outage itself
        server.start()
        lone.join("default", timeout=30_000)
    assert set(done) == set(range(120))
    assert Operations(lone).ledger("default").is_balanced


def test_a_sender_is_told_when_redis_is_away(
    lone: PriorityRedisBroker, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brokers.sender.FIRST_PAUSE_S", 0.01)
    server.kill()
    with pytest.raises(ConnectionClosed):
        lone.enqueue(note(1))


def test_a_full_redis_refuses_new_messages_and_settles_old_ones(
    lone: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    attempts: list[int] = []

    def fail_once(number: int) -> None:
        attempts.append(number)
        if attempts.count(number) == 1:
            raise RuntimeError("again, please")

    declare(lone, fail_once, actor_name="note", min_backoff=50, max_backoff=50)
    lone.enqueue_many([note(number) for number in range(50)])
    lone.client.config_set("maxmemory", 1)  # however much is freed, it is full
    with pytest.raises(BrokerFull, match="maxmemory"):
        lone.enqueue(note(99))
    operations = Operations(lone)
    with working(on=lone):
        eventually(operations.workers)  # so that others recover its messages if it dies
        lone.join("default", timeout=30_000)
    assert sorted(attempts) == sorted([*range(50), *range(50)])
    assert operations.ledger("default").is_balanced
    lone.client.config_set("maxmemory", 0)
    lone.enqueue(note(99))


def test_a_worker_outlives_a_read_only_primary(
    lone: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    """What a failover looks like to clients of the old primary."""
    done: list[int] = []
    declare(lone, done.append, actor_name="note")

    def send_until_it_is_taken(message: Message[Any]) -> None:
        while True:
            with suppress(BrokerConnectionError):
                lone.enqueue(message)
                return

    with working(on=lone):
        lone.enqueue(note(0))
        eventually(lambda: done == [0])
        lone.client.replicaof("127.0.0.1", 1)
        sender = threading.Thread(target=send_until_it_is_taken, args=(note(1),))
        sender.start()
        time.sleep(0.4)  # the failover itself
        lone.client.replicaof("NO", "ONE")
        sender.join(30)
        lone.join("default", timeout=30_000)
    assert done == [0, 1]


def test_a_client_of_ones_own_may_be_given(redis_url: str, namespace: str) -> None:
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        broker = PriorityRedisBroker(client=client, namespace=namespace)
        assert broker.client is client
        broker.enqueue(note(1, unique_key="one"))
        again = broker.enqueue(note(2, unique_key="one"))
        assert again.options["coalesced_with"]["run_id"] is None
        assert Operations(broker).queue("default").depth == 1
        broker.close()
