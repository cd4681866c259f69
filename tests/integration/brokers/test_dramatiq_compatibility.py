"""What programs and middleware written for dramatiq's own Redis broker may rely on."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest
import redis
from dramatiq import Message, MessageProxy, Middleware
from dramatiq.middleware import CurrentMessage

from brokers.dead_letters import DeadLetters
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare


def stranger() -> MessageProxy:
    """A message that was never sent."""
    return MessageProxy(Message("default", "note", (), {}, {"redis_message_id": "nobody"}))


def consumer_of(worker: dramatiq.Worker, eventually: Eventually) -> Any:
    """A worker's consumer of the default queue, which its own thread makes."""
    return eventually(lambda: worker.consumers["default"].consumer)


def test_a_delivered_message_equals_the_one_that_was_sent(
    broker: PriorityRedisBroker, working: Working
) -> None:
    broker.add_middleware(CurrentMessage())
    delivered: list[Message[Any]] = []

    def note(number: int) -> None:
        current = CurrentMessage.get_current_message()
        assert current is not None
        delivered.append(current.copy(options={"number": number}))

    actor = declare(broker, note)
    sent = [actor.send(number) for number in range(3)]
    with working(threads=1):
        broker.join("default", timeout=30_000)
    assert delivered == [message.copy(options={"number": number}) for number, message in enumerate(sent)]


@pytest.mark.parametrize("rebuild", [Message.copy, lambda message: Message(**message.asdict())])
def test_an_actor_may_send_its_own_message_again(
    broker: PriorityRedisBroker, working: Working, operations: Operations, rebuild: Any
) -> None:
    broker.add_middleware(CurrentMessage())
    runs: list[int] = []

    def note() -> None:
        runs.append(1)
        current = CurrentMessage.get_current_message()
        assert current is not None
        if len(runs) < 3:
            broker.enqueue(rebuild(current.copy()), delay=1)

    declare(broker, note).send()
    with working():
        broker.join("default", timeout=30_000)
    assert len(runs) == 3
    assert operations.ledger("default").is_balanced


def test_settling_a_message_that_nobody_delivered_changes_nothing(
    broker: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    declare(broker, lambda: None).send_with_options(delay=60_000)
    with working() as worker:
        of_worker = consumer_of(worker, eventually)
        own = broker.consume("default", timeout=1)
        for consumer in (of_worker, own):
            consumer.ack(stranger())
            consumer.nack(stranger())
            consumer.requeue([stranger()])
        own.close()
    assert broker.queue_size("default") == 1


def test_a_workers_consumer_tells_how_many_messages_it_holds(
    broker: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    counts: list[int] = []
    with working() as worker:
        actor = declare(broker, lambda: counts.append(consumer.outstanding_message_count))
        consumer = consumer_of(worker, eventually)
        actor.send()
        broker.join("default", timeout=30_000)
        assert eventually(lambda: consumer.outstanding_message_count == 0)
    assert counts == [1]


def test_a_hook_may_be_a_static_method_or_set_on_the_object(
    broker: PriorityRedisBroker, working: Working
) -> None:
    heard: list[str] = []

    class Hooks(Middleware):
        @staticmethod
        def after_enqueue(*_: object) -> None:
            heard.append("static")

    hooks = Hooks()
    hooks.before_process_message = lambda *_: heard.append("object")  # type: ignore[method-assign]
    broker.add_middleware(hooks)
    declare(broker, lambda: None).send()
    with working():
        broker.join("default", timeout=30_000)
    assert heard == ["static", "object"]


def test_middleware_may_put_another_message_in_the_delivered_ones_place(
    broker: PriorityRedisBroker, working: Working
) -> None:
    class Doubling(Middleware):
        def before_process_message(self, broker: dramatiq.Broker, message: MessageProxy) -> None:
            message._message = message._message.copy(args=(2 * message.args[0],))

    broker.add_middleware(Doubling())
    seen: list[int] = []
    declare(broker, seen.append).send(4)
    with working():
        broker.join("default", timeout=30_000)
    assert seen == [8]


def test_a_lower_number_as_an_actors_priority_goes_first_among_neighbours(
    broker: PriorityRedisBroker, working: Working
) -> None:
    ran: list[str] = []
    later = declare(broker, lambda: ran.append("later"), actor_name="later", priority=10)
    sooner = declare(broker, lambda: ran.append("sooner"), actor_name="sooner", priority=0)
    for _ in range(10):
        later.send()
        sooner.send()
    with working(threads=1):
        broker.join("default", timeout=30_000)
    assert ran == ["sooner"] * 10 + ["later"] * 10


def test_the_stock_brokers_settings_of_its_upkeep_are_accepted(redis_url: str) -> None:
    broker = PriorityRedisBroker(
        url=redis_url, maintenance_chance=1000, heartbeat_timeout=60_000, dead_message_ttl=1
    )
    with broker.client as client:
        assert client.ping()


@pytest.mark.parametrize(
    ("parameters", "kind"),
    [
        ({"host": "redis.example"}, redis.Connection),
        ({"host": "redis.example", "ssl": True}, redis.SSLConnection),
        ({"unix_socket_path": "/run/redis.sock"}, redis.UnixDomainSocketConnection),
    ],
)
def test_a_connection_is_described_as_to_redis_py(parameters: dict[str, Any], kind: type) -> None:
    assert PriorityRedisBroker(**parameters).client.connection_pool.connection_class is kind


def test_a_programs_own_connection_pool_is_used(redis_url: str) -> None:
    with redis.ConnectionPool.from_url(redis_url) as pool:
        broker = PriorityRedisBroker(connection_pool=pool)
        assert broker.client.connection_pool is pool
        assert broker.queue_size("default") == 0


@pytest.mark.parametrize("options", [{"decode_responses": True}, {"protocol": 3}])
def test_a_clients_own_way_of_reading_answers_does_not_matter(
    redis_url: str, namespace: str, working: Working, options: dict[str, Any]
) -> None:
    with redis.Redis.from_url(redis_url, **options) as client:
        broker = PriorityRedisBroker(client=client, namespace=namespace)
        done: list[int] = []
        actor = declare(broker, done.append)
        actor.send(1)
        actor.send_with_options(args=(2,), delay=10)
        with working(on=broker):
            broker.join("default", timeout=30_000)
        broker.close()
    assert done == [1, 2]


def test_a_message_for_an_unknown_actor_is_dead_under_its_own_id(
    broker: PriorityRedisBroker, working: Working, letters: DeadLetters
) -> None:
    broker.declare_queue("default")
    sent = broker.enqueue(Message("default", "unheard-of", (), {}, {}))
    with working() as worker:
        broker.join("default", timeout=30_000)
        worker.join()
    assert [dead.message_id for dead in letters.latest()] == [sent.options["redis_message_id"]]


def test_a_queue_that_is_not_served_gets_no_consumer(broker: PriorityRedisBroker) -> None:
    worker = dramatiq.Worker(broker, queues={"a"}, worker_timeout=100, worker_threads=1)
    worker.start()
    broker.declare_queue("a")
    broker.declare_queue("b")
    worker.stop()
    assert set(worker.consumers) == {"a", "a.DQ"}


def test_a_stopped_worker_takes_nothing_from_a_queue_that_is_declared_later(
    broker: PriorityRedisBroker, working: Working
) -> None:
    middleware = broker.middleware.copy()
    with working():
        broker.declare_queue("early")
    assert broker.middleware == middleware
    done: list[int] = []
    actor = declare(broker, done.append, queue_name="late")
    for number in range(20):
        actor.send(number)
    with working():
        broker.join("late", timeout=30_000)
    assert sorted(done) == list(range(20))
