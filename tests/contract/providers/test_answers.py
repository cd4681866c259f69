"""Stored answers: freshness, validators, one asker at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from providers.ports import Answers, digest_of

FETCHED_AT = datetime(2031, 10, 18, 1, 0, 0, 123456, tzinfo=UTC)
EARLIER = FETCHED_AT - timedelta(seconds=1)
LATER = FETCHED_AT + timedelta(seconds=1)


def store(answers: Answers, body: bytes | None = b'{"a": 1}', *, key: str = "k") -> None:
    answers.look_up(key, fresh_after=LATER, asker="first")
    answers.save(key, body, validators=('W/"1"', None), fetched_at=FETCHED_AT, asker="first")


def test_unknown_key_gives_the_turn_to_the_first_asker_only(answers: Answers) -> None:
    first = answers.look_up("k", fresh_after=EARLIER, asker="first")
    second = answers.look_up("k", fresh_after=EARLIER, asker="second")
    assert (first.answer, first.is_fresh, first.has_turn) == (None, False, True)
    assert (second.answer, second.is_fresh, second.has_turn) == (None, False, False)


def test_saved_answer_is_fresh_for_whoever_accepts_its_age(answers: Answers) -> None:
    store(answers)
    lookup = answers.look_up("k", fresh_after=FETCHED_AT, asker="second")
    assert lookup.is_fresh
    assert not lookup.has_turn
    assert lookup.answer is not None
    assert lookup.answer.body == b'{"a": 1}'
    assert lookup.answer.fetched_at == FETCHED_AT


def test_older_answer_comes_with_its_validators_and_the_turn(answers: Answers) -> None:
    store(answers)
    lookup = answers.look_up("k", fresh_after=LATER, asker="second")
    assert not lookup.is_fresh
    assert lookup.has_turn
    assert lookup.answer is not None
    assert lookup.answer.validators == ('W/"1"', None)


def test_confirmed_answer_is_as_fresh_as_a_new_one(answers: Answers) -> None:
    store(answers)
    answers.look_up("k", fresh_after=LATER, asker="second")
    answers.confirm("k", fetched_at=LATER, asker="second")
    lookup = answers.look_up("k", fresh_after=LATER, asker="third")
    assert lookup.is_fresh
    assert lookup.answer is not None
    assert lookup.answer.body == b'{"a": 1}'
    assert lookup.answer.validators == ('W/"1"', None)


def test_abandoned_turn_passes_to_the_next_asker(answers: Answers) -> None:
    answers.look_up("k", fresh_after=LATER, asker="first")
    answers.abandon("k", asker="first")
    assert answers.look_up("k", fresh_after=LATER, asker="second").has_turn


def test_turn_of_another_asker_is_not_ended(answers: Answers) -> None:
    answers.look_up("k", fresh_after=LATER, asker="first")
    answers.abandon("k", asker="second")
    assert not answers.look_up("k", fresh_after=LATER, asker="third").has_turn


def test_missing_record_is_stored_as_an_answer(answers: Answers) -> None:
    store(answers, None)
    lookup = answers.look_up("k", fresh_after=EARLIER, asker="second")
    assert lookup.is_fresh
    assert lookup.answer is not None
    assert lookup.answer.body is None


def test_new_answer_leaves_nothing_of_the_old_one(answers: Answers) -> None:
    store(answers)
    answers.save("k", None, validators=(None, None), fetched_at=LATER, asker="second")
    lookup = answers.look_up("k", fresh_after=EARLIER, asker="third")
    assert lookup.answer is not None
    assert (lookup.answer.body, lookup.answer.validators) == (None, (None, None))


def test_keys_are_apart(answers: Answers) -> None:
    store(answers, key="one")
    assert answers.look_up("two", fresh_after=EARLIER, asker="second").answer is None


def test_asked_are_the_keys_whose_turn_somebody_has(answers: Answers) -> None:
    answers.look_up("one", fresh_after=LATER, asker="first")
    answers.look_up("two", fresh_after=LATER, asker="first")
    answers.abandon("two", asker="first")
    assert set(answers.asked(["one", "two", "three"])) == {"one"}


def test_digest_is_told_of_what_is_fresh_and_empty_for_what_does_not_exist(answers: Answers) -> None:
    store(answers, key="one")
    store(answers, None, key="gone")
    store(answers, b"other", key="other")
    one, gone, unknown, other = answers.digests(["one", "gone", "unknown", "other"], fresh_after=FETCHED_AT)
    assert (one, gone, unknown) == (digest_of(b'{"a": 1}'), "", None)
    assert other not in (None, one)
    assert answers.digests(["one"], fresh_after=LATER) == [None]
    assert answers.digests([], fresh_after=LATER) == []
