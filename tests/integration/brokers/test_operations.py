"""What an operator sees and does."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from dramatiq import Message

from brokers.dead_letters import DeadLetters
from brokers.delivery import rejected
from brokers.operations import Operations
from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare


def note(number: int, **options: Any) -> Message[Any]:
    return Message("default", "note", (), {"number": number}, options)


@pytest.fixture
def failed(broker: PriorityRedisBroker, working: Working) -> list[int]:
    """Three dead letters, numbers 1 to 3; what runs without failing is noted."""
    done: list[int] = []

    def fail(number: int) -> None:
        if number < 10:
            raise RuntimeError(f"number {number} is too small")
        done.append(number)

    declare(broker, fail, max_retries=0)
    broker.enqueue_many([note(number, broker_priority="high") for number in (1, 2, 3)])
    with working():
        broker.join("default", timeout=30_000)
    return done


def test_a_queue_shows_what_is_where(broker: PriorityRedisBroker, operations: Operations) -> None:
    broker.enqueue_many([note(1), note(2), note(3, broker_priority="urgent"), (note(4), 60_000)])
    operations.set_limit("default", 5)
    (state,) = operations.queues()
    assert (state.name, state.depth, state.delayed, state.limit) == ("default", 3, 1, 5)
    assert state.waiting == {Priority.URGENT: 1, Priority.HIGH: 0, Priority.NORMAL: 2, Priority.LOW: 0}
    assert state.oldest_age_s is not None
    assert 0 <= state.oldest_age_s < 30
    assert state.ledger.is_balanced
    assert sum(minute.get("enqueued", 0) for minute in operations.minutes("default", 2)) == 4


@pytest.mark.usefixtures("failed")
def test_dead_letters_are_listed_searched_and_shown(letters: DeadLetters) -> None:
    assert len(list(letters.latest())) == 3
    assert len(list(letters.latest("default", limit=2))) == 2
    (letter,) = letters.latest(search="number 2 is too small")
    assert letter.message is not None
    assert letter.message.kwargs == {"number": 2}
    assert letter.header is not None
    assert letter.header.priority is Priority.HIGH
    assert letters.find(letter.message_id) == letter
    assert letters.find("unknown") is None


def test_dead_letters_are_retried_with_an_edited_payload(
    broker: PriorityRedisBroker,
    working: Working,
    letters: DeadLetters,
    operations: Operations,
    failed: list[int],
) -> None:
    found = list(letters.latest(search="number 1 "))
    assert letters.retry(found, kwargs={"number": 11}) == 1
    assert operations.queue("default").waiting[Priority.HIGH] == 1
    with working():
        broker.join("default", timeout=30_000)
    assert failed == [11]
    ledger = operations.ledger("default")
    assert (ledger.enqueued, ledger.done, ledger.dead) == (3, 1, 2)
    assert ledger.is_balanced


def test_a_dead_letter_whose_work_is_asked_for_again_stays_dead(
    broker: PriorityRedisBroker, working: Working, letters: DeadLetters, operations: Operations
) -> None:
    def fail(number: int) -> None:
        raise RuntimeError("always")

    declare(broker, fail, max_retries=0)
    broker.enqueue(note(1, unique_key="one"))
    with working():
        broker.join("default", timeout=30_000)
    broker.enqueue(note(2, unique_key="one"))
    assert letters.retry(letters.latest()) == 0
    ledger = operations.ledger("default")
    assert (ledger.waiting, ledger.dead) == (1, 1)
    assert ledger.is_balanced


@pytest.mark.usefixtures("failed")
def test_dead_letters_are_deleted_by_filter(letters: DeadLetters, operations: Operations) -> None:
    third = [letter.message_id for letter in letters.latest(search="number 3")]
    assert letters.delete_by_id("default", third) == 1
    assert letters.delete_by_id("default", [letter.message_id for letter in letters.latest()]) == 2
    ledger = operations.ledger("default")
    assert (ledger.dead, ledger.deleted) == (0, 3)
    assert ledger.is_balanced


def test_more_dead_letters_than_a_page_are_all_found(
    broker: PriorityRedisBroker, letters: DeadLetters
) -> None:
    """Thousands die in one millisecond when somebody purges a provider."""
    sent = broker.enqueue_many([note(number) for number in range(950)])
    process = broker.new_process(threads=1)
    process.beat()
    lent = process.turn(950, ["default"], ()).lent
    process.turn(0, (), [rejected(one) for one in lent])
    process.leave()
    process.end_beats()
    assert {letter.message_id for letter in letters.latest()} == {message.message_id for message in sent}
    assert letters.retry(letters.latest()) == 950


def test_letters_of_all_queues_are_listed_by_the_moment_of_their_death(
    broker: PriorityRedisBroker, letters: DeadLetters
) -> None:
    for number, queue in enumerate(("first", "second", "first", "second")):
        broker.declare_queue(queue)
        broker.enqueue(note(number).copy(queue_name=queue))
        process = broker.new_process(threads=1)
        process.beat()
        process.turn(0, (), [rejected(one) for one in process.turn(1, [queue], ()).lent])
        process.leave()
        process.end_beats()
    died = [letter.died_at_s for letter in letters.latest()]
    assert died == sorted(died, reverse=True)
    assert [letter.queue for letter in letters.latest(limit=3)] != ["first", "first", "second"]
    assert {letter.queue for letter in letters.latest("second")} == {"second"}


def test_purging_deletes_what_waits(broker: PriorityRedisBroker, operations: Operations) -> None:
    broker.enqueue_many([*(note(number) for number in range(3000)), (note(-1), 60_000)])
    assert broker.purge("default", "waiting", "delayed") == 3001
    assert operations.ledger("default").is_balanced


def test_single_messages_are_deleted_wherever_they_wait(
    broker: PriorityRedisBroker, letters: DeadLetters, operations: Operations
) -> None:
    waiting = broker.enqueue(note(1))
    delayed = broker.enqueue(note(2), delay=60_000)
    kept = broker.enqueue(note(3))
    assert letters.delete_by_id("default", [waiting.message_id, delayed.message_id, "unknown"]) == 2
    assert letters.delete_by_id("default", [waiting.message_id]) == 0
    assert operations.queue("default").depth == 1
    assert "coalesced_with" not in kept.options


def test_what_runs_is_shown_with_its_worker(
    broker: PriorityRedisBroker, working: Working, operations: Operations, eventually: Eventually
) -> None:
    may_go = threading.Event()
    declare(broker, lambda number: bool(may_go.wait(30)))
    with working(threads=2):
        broker.enqueue(note(7, broker_priority="urgent"))
        (running,) = eventually(operations.in_flight)
        (worker,) = operations.workers()
        assert running.process == worker.process
        assert running.priority is Priority.URGENT
        assert running.message is not None
        assert running.message.kwargs == {"number": 7}
        assert worker.record["threads"] == 2
        assert worker.lease_left_s > 0
        may_go.set()
        broker.join("default", timeout=30_000)
    assert operations.workers() == []


def test_a_quiet_worker_takes_nothing_until_it_is_told(
    broker: PriorityRedisBroker, working: Working, operations: Operations, eventually: Eventually
) -> None:
    done: list[int] = []

    def run(number: int) -> None:
        done.append(number)

    declare(broker, run)
    with working() as worker:
        (state,) = eventually(operations.workers)
        assert operations.quiet(state.process)
        eventually(lambda: broker.dispatcher_of(worker).heartbeat.is_quiet)
        broker.enqueue(note(1))
        assert operations.workers()[0].is_quiet
        assert operations.queue("default").depth == 1
        operations.quiet(state.process, is_quiet=False)
        broker.join("default", timeout=30_000)
    assert done == [1]


def test_orders_to_unknown_workers_are_refused(operations: Operations) -> None:
    assert not operations.quiet("nobody")
    assert not operations.stop("nobody")
