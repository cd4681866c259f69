"""Work of dead, hung and leaving workers goes to others, and is settled once."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import Any

import dramatiq
import pytest
from dramatiq import Message

from brokers.dead_letters import DeadLetters
from brokers.heartbeat import Heartbeat
from brokers.operations import Operations
from brokers.process import Process, Settled
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare


def a_process(broker: PriorityRedisBroker, *, lease_s: float = 0.05) -> Process:
    """A worker process as Redis sees it, that beats once."""
    process = Process(broker.dial, broker.key, lease_s=lease_s)
    process.beat()
    process.end_beats()
    return process


def lease_is_over(broker: PriorityRedisBroker, eventually: Eventually) -> None:
    eventually(broker.recover)


@pytest.fixture
def quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many that a lease of seconds outlives a machine that stands still for a moment."""
    monkeypatch.setattr("brokers.dispatcher.Heartbeat", partial(Heartbeat, beat_s=0.3))


def note(number: int) -> Message[Any]:
    return Message("default", "note", (number,), {}, {})


def test_a_dead_workers_messages_return_to_the_head_in_their_order(
    broker: PriorityRedisBroker, operations: Operations, eventually: Eventually
) -> None:
    sent = broker.enqueue_many([note(number) for number in range(6)])
    dead = a_process(broker)
    dead.turn(3, ["default"], ())
    lease_is_over(broker, eventually)
    alive = a_process(broker, lease_s=10)
    turn = alive.turn(6, ["default"], ())
    assert [lent.message_id for lent in turn.lent] == [message.message_id for message in sent]
    assert operations.ledger("default").is_balanced
    dead.leave()
    alive.leave()


@pytest.mark.usefixtures("quick_beats")
def test_any_live_worker_recovers_what_a_dead_one_held(
    broker: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    done: list[int] = []
    declare(broker, done.append, actor_name="note")
    broker.enqueue_many([note(number) for number in range(3)])
    dead = a_process(broker, lease_s=1)
    assert len(dead.turn(3, ["default"], ()).lent) == 3
    with working():
        eventually(lambda: sorted(done) == [0, 1, 2])
    dead.leave()


def test_a_message_whose_worker_dies_three_times_is_dead(
    broker: PriorityRedisBroker, letters: DeadLetters, operations: Operations, eventually: Eventually
) -> None:
    broker.enqueue(note(1))
    for _ in range(3):
        victim = a_process(broker)
        assert victim.turn(1, ["default"], ()).lent
        lease_is_over(broker, eventually)
    (letter,) = letters.latest()
    assert letter.reason["kind"] == "poison"
    assert "3 times" in letter.reason["error"]
    assert operations.ledger("default").is_balanced


def test_a_late_ack_does_not_settle_the_next_delivery(
    broker: PriorityRedisBroker, operations: Operations, eventually: Eventually
) -> None:
    broker.enqueue(note(1))
    slow = a_process(broker)
    (late,) = slow.turn(1, ["default"], ()).lent
    lease_is_over(broker, eventually)
    other = a_process(broker, lease_s=10)
    (fresh,) = other.turn(1, ["default"], ()).lent
    slow.turn(0, (), [Settled("ack", late.queue, late.message_id, late.fetch)])
    assert operations.ledger("default").leased == 1
    other.turn(0, (), [Settled("ack", fresh.queue, fresh.message_id, fresh.fetch)])
    assert operations.ledger("default").done == 1
    other.leave()


def test_a_late_retry_does_not_double_the_next_delivery(
    broker: PriorityRedisBroker, operations: Operations, eventually: Eventually
) -> None:
    broker.enqueue(note(1))
    slow = a_process(broker)
    delivery = broker.open_delivery(slow.turn(1, ["default"], ()).lent[0])
    lease_is_over(broker, eventually)
    other = a_process(broker, lease_s=10)
    other.turn(1, ["default"], ())
    broker.enqueue(delivery, delay=10)  # type: ignore[arg-type] # what dramatiq's Retries does
    ledger = operations.ledger("default")
    assert (ledger.leased, ledger.delayed, ledger.waiting) == (1, 0, 0)
    other.leave()


@pytest.mark.parametrize("fate", ["ack", "nack"])
def test_a_late_retry_does_not_bring_back_what_another_worker_settled(
    broker: PriorityRedisBroker, operations: Operations, eventually: Eventually, fate: str
) -> None:
    broker.enqueue(note(1))
    slow = a_process(broker)
    delivery = broker.open_delivery(slow.turn(1, ["default"], ()).lent[0])
    lease_is_over(broker, eventually)
    other = a_process(broker, lease_s=10)
    (fresh,) = other.turn(1, ["default"], ()).lent
    other.turn(0, (), [Settled(fate, fresh.queue, fresh.message_id, fresh.fetch, b"{}")])
    broker.enqueue(delivery, delay=10)  # type: ignore[arg-type] # what dramatiq's Retries does
    ledger = operations.ledger("default")
    assert (ledger.enqueued, ledger.done + ledger.dead, ledger.waiting, ledger.delayed) == (1, 1, 0, 0)
    other.leave()


def test_a_stopping_worker_hands_back_what_it_did_not_finish(
    broker: PriorityRedisBroker, operations: Operations, eventually: Eventually
) -> None:
    may_go = threading.Event()
    declare(broker, lambda number: may_go.wait(30), actor_name="note")
    sent = broker.enqueue_many([note(number) for number in range(5)])
    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=2)
    worker.start()
    eventually(lambda: operations.ledger("default").leased == 2)
    worker.stop(timeout=100)  # shorter than the running messages take
    ledger = operations.ledger("default")
    assert (ledger.leased, ledger.waiting) == (0, 5)
    may_go.set()
    heir = a_process(broker, lease_s=10)
    turn = heir.turn(5, ["default"], ())
    assert [lent.message_id for lent in turn.lent] == [message.message_id for message in sent]
    heir.leave()


def test_a_stopping_worker_takes_nothing_new(
    broker: PriorityRedisBroker, operations: Operations, eventually: Eventually
) -> None:
    started, may_go = threading.Event(), threading.Event()
    done: list[int] = []

    def slow(number: int) -> None:
        started.set()
        may_go.wait(30)
        done.append(number)

    declare(broker, slow, actor_name="note")
    broker.enqueue(note(0))
    worker = dramatiq.Worker(broker, worker_timeout=100, worker_threads=1)
    worker.start()
    assert started.wait(30)
    stopping = threading.Thread(target=worker.stop)
    stopping.start()
    broker.enqueue(note(1))
    may_go.set()
    stopping.join(30)
    assert done == [0]
    assert operations.queue("default").depth == 1


def test_a_hung_loop_gives_up_its_lease(
    redis_url: str, namespace: str, working: Working, eventually: Eventually
) -> None:
    """The native heartbeat would beat for ever for a loop that does not turn any more."""
    broker = PriorityRedisBroker(url=redis_url, namespace=namespace, lease_s=0.5, hung_after_s=0.5)
    operations = Operations(broker)
    broker.declare_queue("default")
    with working(on=broker) as worker:
        eventually(operations.workers)
        dispatcher = broker.dispatcher_of(worker)
        dispatcher.heartbeat.hung_after_s = -1.0  # as if the loop had not turned for long
        eventually(lambda: broker.recover() >= 0 and not operations.workers())
    broker.close()
    broker.client.close()


@pytest.mark.usefixtures("quick_beats")
def test_a_long_running_message_keeps_its_lease(
    redis_url: str, namespace: str, working: Working, eventually: Eventually
) -> None:
    broker = PriorityRedisBroker(url=redis_url, namespace=namespace, lease_s=2.5)
    runs: list[int] = []

    @dramatiq.actor(broker=broker)
    def long() -> None:
        runs.append(1)
        time.sleep(3)  # longer than the lease

    with working(on=broker):
        long.send()
        broker.join("default", timeout=30_000)
    assert len(runs) == 1
    broker.close()
    broker.client.close()
