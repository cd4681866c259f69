"""Slots that common work leaves to what is urgent or high, and slots that change while a worker runs."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import dramatiq
import pytest
from dramatiq import Message

from brokers.holdings import Capacity
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare


@pytest.fixture(autouse=True)
def endless_dozes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An idle worker looks for itself after a while; here it starts only what it is woken for."""
    monkeypatch.setattr("brokers.dispatcher.LONGEST_DOZE_S", 600.0)
    monkeypatch.setattr("brokers.process.LONGEST_DOZE_S", 600.0)


class Work:
    """Long work that ends one by one when it is told to, and short work that is only noted."""

    def __init__(self, broker: PriorityRedisBroker) -> None:
        self.broker = broker
        self.started: list[str] = []
        self.ran: list[str] = []
        self._may_end = threading.Semaphore(0)
        declare(broker, self._long, actor_name="long")
        declare(broker, self.ran.append, actor_name="short")

    def _long(self, name: str) -> None:
        self.started.append(name)
        self._may_end.acquire(timeout=30)

    def end(self, count: int) -> None:
        self._may_end.release(count)

    def send(self, actor: str, priority: str, count: int = 1) -> None:
        self.broker.enqueue_many(
            Message("default", actor, (priority,), {}, {"broker_priority": priority}) for _ in range(count)
        )


@pytest.fixture
def work(broker: PriorityRedisBroker) -> Iterator[Work]:
    work = Work(broker)
    yield work
    work.end(1000)


@pytest.mark.parametrize(
    ("slots", "reserved", "common"), [(32, 2, 30), (1, 2, 1), (2, 2, 1), (3, 9, 2), (4, 0, 4)]
)
def test_at_most_half_of_the_slots_are_reserved(slots: int, reserved: int, common: int) -> None:
    assert Capacity(slots, reserved).common_slots == common


@pytest.mark.parametrize("priority", ["urgent", "high"])
def test_what_presses_starts_while_long_work_holds_every_other_slot(
    broker: PriorityRedisBroker, working: Working, work: Work, eventually: Eventually, priority: str
) -> None:
    broker.resize(slots=4, reserved=1)
    work.send("long", "low", 10)
    work.send("long", "normal", 10)
    with working(threads=4):
        eventually(lambda: len(work.started) == 3)
        for number in range(1, 4):
            work.send("short", priority)
            eventually(lambda number=number: len(work.ran) == number)  # type: ignore[misc]
        assert len(work.started) == 3
        work.end(1000)
        broker.join("default", timeout=30_000)
    assert len(work.started) == 20


def test_common_work_goes_on_as_fast_as_it_ends(
    broker: PriorityRedisBroker, working: Working, work: Work, operations: Operations, eventually: Eventually
) -> None:
    """Its worker dozes for urgent work meanwhile, and must not sleep through it."""
    broker.resize(slots=3, reserved=1)
    work.send("long", "low", 40)
    with working(threads=3):
        for ended in range(0, 38, 2):
            eventually(lambda ended=ended: len(work.started) == ended + 2)  # type: ignore[misc]
            work.end(2)
        work.end(2)
        broker.join("default", timeout=30_000)
    assert operations.ledger("default").done == 40


def test_a_worker_that_has_done_its_common_work_hears_of_more(
    broker: PriorityRedisBroker, working: Working, work: Work, operations: Operations, eventually: Eventually
) -> None:
    broker.resize(slots=2, reserved=1)
    with working(threads=2):
        for number in range(1, 6):
            work.send("long", "low")
            eventually(lambda number=number: len(work.started) == number)  # type: ignore[misc]
            work.end(1)
            eventually(lambda number=number: operations.ledger("default").done == number)  # type: ignore[misc]


def test_common_work_wakes_a_worker_that_has_room_and_not_one_that_has_none(
    broker: PriorityRedisBroker, working: Working, work: Work, eventually: Eventually
) -> None:
    broker.resize(slots=2, reserved=1)
    with working(threads=2):
        work.send("long", "low")
        eventually(lambda: len(work.started) == 1)
        other = dramatiq.Worker(broker, worker_timeout=100, worker_threads=2)
        other.start()
        work.send("long", "low")
        eventually(lambda: len(work.started) == 2)
        work.end(2)
        other.stop()


def test_low_work_keeps_its_share_beside_a_stream_of_urgent_work(
    broker: PriorityRedisBroker, working: Working, work: Work
) -> None:
    broker.resize(slots=2, reserved=1)
    work.send("short", "low", 20)
    work.send("short", "urgent", 200)
    with working(threads=2):
        broker.join("default", timeout=30_000)
    assert 8 <= work.ran[:100].count("low") <= 12


def test_a_worker_takes_more_slots_and_gives_them_up_while_it_runs(
    broker: PriorityRedisBroker, working: Working, work: Work, operations: Operations, eventually: Eventually
) -> None:
    work.send("long", "normal", 12)
    with working(threads=1):
        eventually(lambda: len(work.started) == 1)
        broker.resize(slots=4, reserved=0)
        eventually(lambda: len(work.started) == 4)
        broker.resize(slots=2, reserved=0)
        work.end(3)
        eventually(lambda: len(work.started) == 5)
        eventually(lambda: operations.ledger("default").done == 3)
        assert operations.ledger("default").leased == 2
        broker.resize(slots=3, reserved=0)
        eventually(lambda: operations.ledger("default").leased == 3)
        work.end(1000)
        broker.join("default", timeout=30_000)
    assert len(work.started) == 12
