"""What runs next: decided in Redis, over all queues, for each free slot."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import pytest
from dramatiq import Message

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare


class Line:
    """An actor on some queues that notes in which order its messages run."""

    def __init__(self, broker: PriorityRedisBroker, *queues: str) -> None:
        self.broker = broker
        self.ran: list[str] = []
        for queue in queues or ("default",):
            declare(broker, self.ran.append, actor_name=f"note-{queue}", queue_name=queue)

    def message(self, name: str, *, queue: str = "default", **options: Any) -> Message[Any]:
        return Message(queue, f"note-{queue}", (name,), {}, options)

    def send(self, *names: str, queue: str = "default", **options: Any) -> None:
        self.broker.enqueue_many([self.message(name, queue=queue, **options) for name in names])


@contextmanager
def busy_slot(broker: PriorityRedisBroker, working: Working) -> Iterator[threading.Event]:
    """One worker thread that is held until the event is set, so that what is sent has to wait."""
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        is_held.set()
        may_go.wait(30)

    holder = declare(broker, hold, actor_name="hold", queue_name="default")
    with working(threads=1):
        holder.send()
        assert is_held.wait(30)
        yield may_go
        may_go.set()
        for queue in broker.get_declared_queues():
            broker.join(queue, timeout=30_000)


def test_the_most_urgent_message_of_all_queues_runs_next(
    broker: PriorityRedisBroker, working: Working
) -> None:
    line = Line(broker, "default", "syncs", "updates")
    with busy_slot(broker, working):
        line.send("low", queue="syncs", broker_priority="low")
        line.send("normal", queue="default")
        line.send("high", queue="updates", broker_priority=1)
        line.send("urgent", queue="syncs", broker_priority="urgent")
    assert line.ran == ["urgent", "high", "normal", "low"]


def test_an_actors_priority_is_its_messages_default(broker: PriorityRedisBroker, working: Working) -> None:
    line = Line(broker)
    declare(broker, line.ran.append, actor_name="fast", broker_priority="high")
    with busy_slot(broker, working):
        line.send("normal")
        broker.enqueue(Message("default", "fast", ("high",), {}, {}))
    assert line.ran == ["high", "normal"]


def test_an_unknown_priority_is_refused_where_it_is_sent(broker: PriorityRedisBroker) -> None:
    with pytest.raises(ValueError, match="broker_priority"):
        Line(broker).send("x", broker_priority="asap")


def test_an_urgent_message_passes_a_backlog_at_once(broker: PriorityRedisBroker, working: Working) -> None:
    line = Line(broker)
    with busy_slot(broker, working):
        line.send(*(f"low{number}" for number in range(500)), broker_priority="low")
        line.send("urgent", broker_priority="urgent")
    assert line.ran[0] == "urgent"


def test_low_messages_get_a_share_of_a_busy_worker(broker: PriorityRedisBroker, working: Working) -> None:
    line = Line(broker)
    with busy_slot(broker, working):
        line.send(*("low" for _ in range(20)), broker_priority="low")
        line.send(*("urgent" for _ in range(200)), broker_priority="urgent")
    assert line.ran[:100].count("low") == 10


def test_queues_of_one_priority_take_turns(broker: PriorityRedisBroker, working: Working) -> None:
    line = Line(broker, "default", "syncs")
    with busy_slot(broker, working):
        line.send(*("first" for _ in range(50)), queue="default")
        line.send(*("second" for _ in range(50)), queue="syncs")
    assert 8 <= line.ran[:20].count("second") <= 12


def test_one_accounts_fan_out_cannot_hold_every_slot(broker: PriorityRedisBroker, working: Working) -> None:
    line = Line(broker)
    with busy_slot(broker, working):
        line.send(*("huge" for _ in range(300)), fair_key="account:1")
        line.send(*("small" for _ in range(3)), fair_key="account:2")
        line.send("single")
    assert line.ran[:9].count("small") == 3
    assert "single" in line.ran[:5]


def test_messages_of_one_sender_keep_their_order(broker: PriorityRedisBroker, working: Working) -> None:
    line = Line(broker)
    names = [f"{number:03}" for number in range(120)]
    with busy_slot(broker, working):
        line.send(*names[:60])
        for name in names[60:]:
            line.send(name)
    assert line.ran == names


def test_dramatiqs_own_priority_orders_neighbours(broker: PriorityRedisBroker, working: Working) -> None:
    ran: list[str] = []
    later = declare(broker, lambda: ran.append("later"), actor_name="later", priority=10)
    sooner = declare(broker, lambda: ran.append("sooner"), actor_name="sooner", priority=0)
    with busy_slot(broker, working):
        for _ in range(10):
            later.send()
            sooner.send()
    assert ran[:10].count("sooner") > 6
    assert ran.count("later") == 10


def test_a_queues_limit_holds_over_all_workers(
    broker: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    lock = threading.Lock()
    running: list[int] = []
    most: list[int] = []
    may_go = threading.Event()

    @dramatiq.actor(queue_name="narrow")
    def crawl() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        may_go.wait(30)
        with lock:
            running.pop()

    broker.set_queue_limit("narrow", 2)
    with working(threads=6):
        for _ in range(8):
            crawl.send()
        eventually(lambda: len(running) == 2)
        may_go.set()
        broker.join("narrow", timeout=30_000)
    assert max(most) == 2
    assert len(most) == 8


def test_a_paused_queue_waits_and_others_go_on(
    broker: PriorityRedisBroker, working: Working, operations: Operations, eventually: Eventually
) -> None:
    line = Line(broker, "default", "syncs")
    operations.pause("syncs")
    with working():
        line.send("paused", queue="syncs")
        line.send("free")
        eventually(lambda: line.ran == ["free"])
        assert operations.queue("syncs").is_paused
        operations.resume("syncs")
        broker.join("syncs", timeout=30_000)
    assert line.ran == ["free", "paused"]


def test_no_more_is_fetched_than_slots_are_free(
    broker: PriorityRedisBroker, working: Working, operations: Operations, eventually: Eventually
) -> None:
    may_go = threading.Event()

    @dramatiq.actor
    def hold() -> None:
        may_go.wait(30)

    for _ in range(20):
        hold.send()
    with working(threads=3):
        eventually(lambda: operations.ledger("default").leased == 3)
        assert operations.queue("default").depth == 17
        may_go.set()
        broker.join("default", timeout=30_000)


def test_a_wake_up_that_a_busy_process_got_reaches_an_idle_one(
    broker: PriorityRedisBroker, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker is woken for "b", takes "a", and leaves "c" to be told of, too."""
    monkeypatch.setattr("brokers.dispatcher.LONGEST_DOZE_S", 600.0)
    monkeypatch.setattr("brokers.process.LONGEST_DOZE_S", 600.0)
    done: list[str] = []
    may_end = threading.Event()

    def work(name: str) -> None:
        done.append(name)
        if name == "a":
            may_end.wait(30)

    for name in "abc":
        declare(broker, work, actor_name=name, queue_name=name)
    workers = []
    for number, queues in enumerate(({"a", "b", "c"}, {"b"}), start=1):
        worker = dramatiq.Worker(broker, queues=queues, worker_threads=1, worker_timeout=100)
        worker.start()
        workers.append(worker)
        eventually(lambda number=number: blocked_clients(broker) == number)  # type: ignore[misc]
    urgencies = {"b": "low", "a": "urgent", "c": "high"}
    broker.enqueue_many(
        Message(name, name, (name,), {}, {"broker_priority": urgency}) for name, urgency in urgencies.items()
    )
    eventually(lambda: set(done) == {"a", "b"})
    may_end.set()
    eventually(lambda: set(done) == {"a", "b", "c"})
    for worker in workers:
        worker.stop()


def blocked_clients(broker: PriorityRedisBroker) -> int:
    about: Any = broker.client.info("clients")
    return int(about["blocked_clients"])
