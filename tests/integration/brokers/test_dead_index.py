from __future__ import annotations

import time

import pytest

from brokers import dead_index
from brokers.dead_index import DeadIndex, Match
from brokers.dead_letters import DeadLetters
from brokers.redis import PriorityRedisBroker
from tests.integration.brokers.dead_letters import QUEUE, kill, settle


@pytest.fixture
def index(letters: DeadLetters) -> DeadIndex:
    return DeadIndex(letters)


def ids(index: DeadIndex, match: Match | None = None, **options: object) -> list[str]:
    found = index.find(match or Match(), limit=100, **options)  # type: ignore[arg-type]
    return [letter.message_id for letter in found.letters]


def test_all_letters_are_grouped_by_their_error(broker: PriorityRedisBroker, index: DeadIndex) -> None:
    for number in range(3):
        kill(broker, f"grade {number}0 is gone", account_id=number + 1)
    last = kill(broker, "the key was refused", actor="update_account", account_id=1)
    gone, refused = index.groups(Match())
    assert (gone.error, gone.count, gone.account_count) == ("RuntimeError: grade … is gone", 3, 3)
    assert (refused.count, refused.actors, refused.queues) == (1, ["update_account"], [QUEUE])
    assert refused.latest.message_id == last


def test_letters_are_found_by_each_filter(broker: PriorityRedisBroker, index: DeadIndex) -> None:
    first = kill(broker, "the key was refused", account_id=1)
    second = kill(broker, actor="update_account", account_id=2)
    (refused,) = [group for group in index.groups(Match()) if "refused" in group.error]
    assert ids(index) == [second, first]
    assert ids(index, Match(actor="update_account")) == [second]
    assert ids(index, Match(account_id=1)) == [first]
    assert ids(index, Match(group=refused.id)) == [first]
    assert ids(index, Match(queue="direct")) == []
    assert ids(index, search='"account_id":2') == [second]
    now_s = time.time()
    assert ids(index, Match(died_before_s=now_s + 1)) == [second, first]
    assert ids(index, Match(died_since_s=now_s + 1)) == []


def test_pages_follow_each_other(broker: PriorityRedisBroker, index: DeadIndex) -> None:
    killed = [kill(broker, account_id=number) for number in range(1, 8)]
    first = index.find(Match(), limit=4)
    second = index.find(Match(), limit=4, before=first.next_before)
    assert [letter.message_id for letter in (*first.letters, *second.letters)] == killed[::-1]
    assert second.next_before is None


def test_it_notices_what_died_and_what_is_gone_since(
    broker: PriorityRedisBroker, letters: DeadLetters, index: DeadIndex
) -> None:
    first, second = kill(broker, account_id=1), kill(broker, account_id=2)
    assert index.count(Match()) == 2
    letters.delete_by_id(QUEUE, [first])
    third = kill(broker, account_id=3)
    assert ids(index) == [third, second]


def test_a_letter_that_dies_again_stands_once_and_with_its_last_error(
    broker: PriorityRedisBroker, letters: DeadLetters, index: DeadIndex
) -> None:
    letter = kill(broker, "the provider answered 503", account_id=1)
    assert index.count(Match()) == 1
    letters.retry(letters.read([(QUEUE, letter)]))
    settle(broker, lambda _message: "the key was refused")
    (group,) = index.groups(Match())
    assert (group.count, group.error) == (1, "RuntimeError: the key was refused")


def test_a_text_is_looked_for_in_pieces(
    broker: PriorityRedisBroker, index: DeadIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_index, "_CHUNK", 2)
    monkeypatch.setattr(dead_index, "MOST_SEARCHED", 4)
    oldest = kill(broker, "the needle", account_id=1)
    for number in range(2, 8):
        kill(broker, account_id=number)
    first = index.find(Match(), limit=10, search="needle")
    assert first.letters == []
    assert first.next_before is not None
    rest = index.find(Match(), limit=10, search="needle", before=first.next_before)
    assert [letter.message_id for letter in rest.letters] == [oldest]


def test_what_cannot_be_decoded_is_a_letter_too(broker: PriorityRedisBroker, index: DeadIndex) -> None:
    letter = kill(broker, account_id=1)
    broker.client.hset(f"{broker.key}:values", f"{QUEUE}/{letter}", b"\xff no message")
    broker.client.hset(f"{broker.key}:q:{QUEUE}:reasons", letter, b"{")
    (group,) = index.groups(Match())
    assert (group.error, group.actors, group.account_count) == ("unknown", [], 0)
