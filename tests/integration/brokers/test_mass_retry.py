from __future__ import annotations

from typing import Any

import pytest
from dramatiq import Message

from brokers.dead_index import DeadIndex, Match
from brokers.dead_letters import DeadLetters
from brokers.mass_retry import MassRetries, MassRetry, MassRetryState
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from sync.errors import InvalidRequest, NotFound
from tests.integration.brokers.dead_letters import QUEUE, kill, send, settle

ALL = Match(queue=QUEUE)


@pytest.fixture
def ended() -> list[MassRetry]:
    return []


def opened(broker: PriorityRedisBroker, ended: list[MassRetry] | None = None) -> MassRetries:
    """As a process has them that has just started."""
    letters = DeadLetters(broker)
    on_end = (ended if ended is not None else []).append
    return MassRetries(broker=broker, letters=letters, index=DeadIndex(letters), on_end=on_end)


@pytest.fixture
def retries(broker: PriorityRedisBroker, ended: list[MassRetry]) -> MassRetries:
    return opened(broker, ended)


def kill_many(broker: PriorityRedisBroker, count: int) -> None:
    for number in range(1, count + 1):
        send(broker, account_id=number)
    settle(broker, lambda _message: "the provider answered 503")


def steps(broker: PriorityRedisBroker, retries: MassRetries, *, error: str | None = None) -> list[int]:
    """Drive to the end, settling what each step sent; how many each step sent."""
    sent = []
    for _ in range(20):
        is_on = retries.drive("test")
        if count := settle(broker, lambda _message: error):
            sent.append(count)
        if not is_on:
            return sent
    raise AssertionError("it does not end")


def test_three_go_first_then_more_and_more(
    broker: PriorityRedisBroker, retries: MassRetries, ended: list[MassRetry]
) -> None:
    kill_many(broker, 60)
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    assert steps(broker, retries) == [3, 10, 30, 17]
    done = retries.find(asked.id)
    assert (done.state, done.done, done.died_again, done.left) == (MassRetryState.FINISHED, 60, 0, 0)
    assert ended == [done]


def test_it_ends_as_soon_as_one_of_the_first_three_dies_again(
    broker: PriorityRedisBroker, retries: MassRetries, ended: list[MassRetry]
) -> None:
    kill_many(broker, 20)
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    assert steps(broker, retries, error="the provider answered 503") == [3]
    assert retries.find(asked.id).state is MassRetryState.RECURRED
    assert (ended[0].died_again, ended[0].left) == (3, 17)
    assert Operations(broker).ledger(QUEUE).dead == 20


def test_later_a_few_may_die_again(broker: PriorityRedisBroker, retries: MassRetries) -> None:
    kill_many(broker, 13)
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    retries.drive("test")
    settle(broker, lambda _message: None)
    retries.drive("test")
    unlucky: list[Message[Any]] = []

    def one_dies(message: Message[Any]) -> str | None:
        unlucky.append(message)
        return "again" if len(unlucky) == 1 else None

    settle(broker, one_dies)
    assert steps(broker, retries) == []
    done = retries.find(asked.id)
    assert (done.state, done.done, done.died_again) == (MassRetryState.FINISHED, 12, 1)


def test_nothing_follows_while_a_step_is_on_its_way(
    broker: PriorityRedisBroker, retries: MassRetries
) -> None:
    kill_many(broker, 20)
    retries.ask(ALL, asked_by="ann", source="cli")
    for _ in range(5):
        retries.drive("test")
    assert Operations(broker).ledger(QUEUE).waiting == 3


def test_another_process_goes_on_where_one_ended(broker: PriorityRedisBroker, retries: MassRetries) -> None:
    kill_many(broker, 13)
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    retries.drive("first")
    # Its lock lapses some seconds after its death.
    broker.client.delete(f"{broker.key}:mass-retry:{asked.id}:driver")
    settle(broker, lambda _message: None)
    assert steps(broker, opened(broker)) == [10]
    assert retries.find(asked.id).done == 13


def test_what_was_taken_and_not_sent_is_sent_by_the_next_one(
    broker: PriorityRedisBroker, retries: MassRetries, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_many(broker, 3)
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    with monkeypatch.context() as patched:
        patched.setattr(DeadLetters, "retry_each", _killed)
        with pytest.raises(KeyboardInterrupt):
            retries.drive("test")
    assert steps(broker, retries) == [3]
    assert retries.find(asked.id).done == 3


def _killed(_self: DeadLetters, _letters: object) -> dict[str, bool]:
    raise KeyboardInterrupt


def test_two_processes_do_not_drive_the_same(broker: PriorityRedisBroker, retries: MassRetries) -> None:
    kill_many(broker, 20)
    retries.ask(ALL, asked_by="ann", source="cli")
    retries.drive("first")
    settle(broker, lambda _message: None)
    opened(broker).drive("second")
    assert Operations(broker).ledger(QUEUE).waiting == 0
    retries.drive("first")
    assert Operations(broker).ledger(QUEUE).waiting == 10


def test_it_can_be_stopped(broker: PriorityRedisBroker, retries: MassRetries) -> None:
    kill_many(broker, 20)
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    retries.drive("test")
    retries.stop(asked.id, by="bob")
    settle(broker, lambda _message: None)
    assert steps(broker, retries) == []
    stopped = retries.find(asked.id)
    assert (stopped.state, stopped.done, stopped.message) == (MassRetryState.STOPPED, 3, "stopped by bob")


def test_letters_that_die_meanwhile_are_none_of_it(broker: PriorityRedisBroker, retries: MassRetries) -> None:
    kill_many(broker, 4)
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    retries.drive("test")
    settle(broker, lambda _message: None)
    kill(broker, account_id=99)
    assert steps(broker, retries) == [1]
    assert retries.find(asked.id).done == 4


def test_a_letter_that_cannot_be_decoded_is_kept(broker: PriorityRedisBroker, retries: MassRetries) -> None:
    letter = kill(broker, account_id=1)
    broker.client.hset(f"{broker.key}:values", f"{QUEUE}/{letter}", b"no message")
    asked = retries.ask(ALL, asked_by="ann", source="cli")
    assert steps(broker, retries) == []
    kept = retries.find(asked.id)
    assert (kept.state, kept.kept, kept.done) == (MassRetryState.FINISHED, 1, 0)


def test_nothing_to_retry_and_an_unknown_one_are_mistakes(retries: MassRetries) -> None:
    with pytest.raises(InvalidRequest, match="no dead letter matches"):
        retries.ask(ALL, asked_by="ann", source="cli")
    with pytest.raises(NotFound):
        retries.stop("none", by="ann")
