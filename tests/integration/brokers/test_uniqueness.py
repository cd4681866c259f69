"""One waiting or running message a unique key; duplicates are coalesced and may upgrade it."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any

import dramatiq
import pytest
from dramatiq import Message

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from brokers.scripts import RELEASE
from brokers.states import Withdrawal, Withdrawn
from tests.conftest import Eventually
from tests.integration.brokers.conftest import Working, declare


def ask(run_id: str = "run-1", *, delay: int | None = None, **options: Any) -> Message[Any]:
    kwargs = {"run_id": run_id, "preset": options.pop("preset", "quick")}
    return Message("default", "sync", (), kwargs, {"unique_key": "account:7", **options})


def test_a_duplicate_is_answered_with_the_run_that_exists(
    broker: PriorityRedisBroker, operations: Operations
) -> None:
    first = broker.enqueue(ask("run-1"))
    second = broker.enqueue(ask("run-2"))
    assert "coalesced_with" not in first.options
    assert second.options["coalesced_with"] == {"message_id": first.message_id, "run_id": "run-1"}
    ledger = operations.ledger("default")
    assert (ledger.enqueued, ledger.coalesced, ledger.waiting) == (2, 1, 1)
    assert ledger.is_balanced


def test_what_is_enqueued_once_is_not_enqueued_again_after_it_was_done(
    broker: PriorityRedisBroker, operations: Operations, working: Working
) -> None:
    done: list[int] = []
    declare(broker, done.append, actor_name="note")
    message: Message[Any] = Message("default", "note", (7,), {}, {})
    late = PriorityRedisBroker(client=broker.client, namespace=broker.namespace)
    with working():
        broker.enqueue_once(message)
        broker.join("default", timeout=30_000)
        late.enqueue_once(message)
        broker.enqueue_once(message)
        broker.join("default", timeout=30_000)
    assert done == [7]
    assert operations.ledger("default").is_balanced
    late.close()


def test_duplicates_within_one_batch_are_coalesced(broker: PriorityRedisBroker) -> None:
    sent = broker.enqueue_many([ask("run-1"), ask("run-2"), (ask("run-3"), 1000)])
    assert ["coalesced_with" in message.options for message in sent] == [False, True, True]


def test_the_key_is_held_while_it_runs_and_free_when_it_ends(
    broker: PriorityRedisBroker, working: Working, eventually: Eventually
) -> None:
    runs, may_go = [], threading.Event()

    @dramatiq.actor(actor_name="sync")
    def sync(run_id: str, preset: str) -> None:
        runs.append(run_id)
        may_go.wait(30)

    with working():
        broker.enqueue(ask("run-1"))
        eventually(lambda: runs == ["run-1"])
        assert "coalesced_with" in broker.enqueue(ask("run-2")).options
        may_go.set()
        broker.join("default", timeout=30_000)
        assert "coalesced_with" not in broker.enqueue(ask("run-3")).options
        broker.join("default", timeout=30_000)
    assert runs == ["run-1", "run-3"]


def test_the_key_is_held_between_attempts_and_free_when_dead(
    broker: PriorityRedisBroker, working: Working, operations: Operations, eventually: Eventually
) -> None:
    @dramatiq.actor(actor_name="sync", max_retries=1, min_backoff=1000, max_backoff=1000)
    def sync(run_id: str, preset: str) -> None:
        raise RuntimeError(run_id)

    with working():
        broker.enqueue(ask("run-1"))
        eventually(lambda: operations.ledger("default").delayed == 1)
        assert "coalesced_with" in broker.enqueue(ask("run-2")).options
        broker.join("default", timeout=30_000)
    assert operations.ledger("default").dead == 1
    assert "coalesced_with" not in broker.enqueue(ask("run-3")).options


def test_what_has_let_others_in_does_not_take_the_key_again_when_it_is_sent_again(
    broker: PriorityRedisBroker, working: Working, operations: Operations, eventually: Eventually
) -> None:
    """As a sync whose verdict is saved, and whose CMS did not hear of it."""

    @dramatiq.actor(actor_name="sync", max_retries=1, min_backoff=60_000, max_backoff=60_000)
    def sync(run_id: str, preset: str) -> None:
        broker.ask(RELEASE, ("account:7", run_id))
        raise RuntimeError(run_id)

    with working():
        broker.enqueue(ask("run-1"))
        eventually(lambda: operations.ledger("default").delayed == 1)
    assert "coalesced_with" not in broker.enqueue(ask("run-2")).options
    assert "coalesced_with" in broker.enqueue(ask("run-3")).options


def test_a_more_urgent_duplicate_hurries_the_waiting_one(
    broker: PriorityRedisBroker, working: Working
) -> None:
    ran: list[str] = []
    declare(broker, lambda run_id, preset: ran.append(run_id), actor_name="sync")
    broker.enqueue(Message("default", "sync", ("other", "x"), {}, {}))
    broker.enqueue(ask("run-1", broker_priority="low"))
    broker.enqueue(ask("run-2", broker_priority="urgent"))
    with working(threads=1):
        broker.join("default", timeout=30_000)
    assert ran == ["run-1", "other"]


def test_a_stronger_duplicate_takes_the_waiting_ones_place_under_its_names(
    broker: PriorityRedisBroker, working: Working, operations: Operations
) -> None:
    ran: list[tuple[str, str]] = []
    declare(broker, lambda run_id, preset: ran.append((run_id, preset)), actor_name="sync")
    broker.enqueue(ask("run-1", preset="quick", unique_strength=3))
    broker.enqueue(ask("run-2", preset="full", unique_strength=5))
    broker.enqueue(ask("run-3", preset="minimal", unique_strength=1))
    with working():
        broker.join("default", timeout=30_000)
    assert ran == [("run-1", "full")]
    assert operations.ledger("default").is_balanced


@pytest.mark.parametrize("priority", ["low", "urgent"])
def test_a_duplicate_that_asks_for_an_earlier_start_gets_it(
    broker: PriorityRedisBroker, operations: Operations, priority: str
) -> None:
    """A batch is spread over hours; somebody who asks for one of its accounts does not wait for hours."""
    broker.enqueue(ask("run-1"), delay=3_600_000)
    broker.enqueue(ask("run-2", broker_priority=priority), delay=60_000)
    broker.enqueue(ask("run-3", broker_priority=priority))
    assert operations.queue("default").depth == 1


@pytest.mark.parametrize(("priority", "depth"), [("high", 0), ("urgent", 1)])
def test_only_an_urgent_duplicate_ends_a_backoff(
    broker: PriorityRedisBroker,
    working: Working,
    operations: Operations,
    eventually: Eventually,
    *,
    priority: str,
    depth: int,
) -> None:
    @dramatiq.actor(actor_name="sync", max_retries=1, min_backoff=60_000, max_backoff=60_000)
    def sync(run_id: str, preset: str) -> None:
        raise RuntimeError(run_id)

    with working():
        broker.enqueue(ask("run-1"))
        eventually(lambda: operations.ledger("default").delayed == 1)
    broker.enqueue(ask("run-2", broker_priority=priority))
    assert operations.queue("default").depth == depth


def test_a_stronger_request_than_the_one_that_runs_is_carried_out_after_it(
    broker: PriorityRedisBroker, working: Working, operations: Operations
) -> None:
    ran: list[tuple[str, str]] = []
    has_started, may_end = threading.Event(), threading.Event()

    def sync(run_id: str, preset: str) -> None:
        has_started.set()
        may_end.wait(30)
        ran.append((run_id, preset))

    declare(broker, sync, actor_name="sync")
    with working():
        broker.enqueue(ask("run-1", preset="quick", unique_strength=3))
        assert has_started.wait(30)
        assert "coalesced_with" in broker.enqueue(ask("run-2", preset="quick", unique_strength=3)).options
        assert "coalesced_with" not in broker.enqueue(ask("run-3", preset="full", unique_strength=5)).options
        again = broker.enqueue(ask("run-4", preset="full", unique_strength=5))
        may_end.set()
        broker.join("default", timeout=30_000)
    assert again.options["coalesced_with"]["run_id"] == "run-3"
    assert sorted(ran) == [("run-1", "quick"), ("run-3", "full")]
    assert operations.ledger("default").is_balanced


def test_deleting_the_holder_frees_the_key(broker: PriorityRedisBroker) -> None:
    broker.enqueue(ask("run-1"))
    broker.purge("default", "waiting")
    assert "coalesced_with" not in broker.enqueue(ask("run-2")).options


BATCHES = ("batch:a", "batch:b", "batch:c")


@pytest.mark.parametrize("order", list(itertools.permutations(BATCHES)))
def test_a_message_that_batches_share_goes_with_the_last_that_is_taken_back(
    broker: PriorityRedisBroker, operations: Operations, order: Sequence[str]
) -> None:
    sent = {name: broker.enqueue(ask(f"run-{name}", fair_key=name)) for name in BATCHES}

    def take_back(name: str) -> Withdrawal:
        (answer,) = operations.withdraw("default", name, [(sent[name].message_id, "account:7")])
        return answer

    for name in order[:-1]:
        became = Withdrawn.SHARED if name == BATCHES[0] else Withdrawn.GONE
        # Whoever cancels may be killed, and the next one cancels again.
        assert take_back(name) == take_back(name) == Withdrawal(became)
        assert operations.queue("default").depth == 1
    assert take_back(order[-1]) == Withdrawal(Withdrawn.DELETED, "run-batch:a")
    ledger = operations.ledger("default")
    assert (ledger.waiting, ledger.is_balanced) == (0, True)
    assert not broker.client.hlen(f"{broker.key}:sharers")
    assert "coalesced_with" not in broker.enqueue(ask("run-2")).options


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_message_that_a_person_asked_for_too_stays(
    broker: PriorityRedisBroker, operations: Operations, place: int
) -> None:
    names: list[str | None] = ["batch:a", "batch:b"]
    names.insert(place, None)
    sent = [(name, broker.enqueue(ask(f"run-{name}", fair_key=name))) for name in names]
    for name, message in sent:
        if name is not None:
            operations.withdraw("default", name, [(message.message_id, "account:7")])
    assert operations.queue("default").depth == 1
