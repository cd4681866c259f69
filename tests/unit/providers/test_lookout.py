"""Looking for the answers that other processes ask for."""

from __future__ import annotations

from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Event

import pytest

from providers import lookout
from providers.lookout import Lookout
from sync.errors import StoreUnavailable
from tests.outbound import MemoryAnswers

PATIENCE_S = 30.0
NOW = datetime(2031, 10, 18, tzinfo=UTC)
KEYS = [f"key-{number}" for number in range(20)]


class WatchedAnswers(MemoryAnswers):
    """Notes what is looked at together, and says when all keys are."""

    def __init__(self) -> None:
        super().__init__()
        self.has_seen_all = Event()
        self.fails = False

    def asked(self, keys: Collection[str]) -> Collection[str]:
        if self.fails:
            raise StoreUnavailable("Redis did not answer")
        if len(keys) == len(KEYS):
            self.has_seen_all.set()
        return super().asked(keys)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "LOOKS_EVERY_S", 0.001)


@pytest.fixture
def answers() -> WatchedAnswers:
    answers = WatchedAnswers()
    for key in KEYS:
        answers.look_up(key, fresh_after=NOW, asker="elsewhere")
    return answers


def test_all_that_wait_are_looked_for_together_and_end_one_by_one(answers: WatchedAnswers) -> None:
    watching = Lookout(answers)
    with ThreadPoolExecutor(len(KEYS)) as threads:
        waiting = {key: threads.submit(watching.wait, key, PATIENCE_S) for key in KEYS}
        assert answers.has_seen_all.wait(PATIENCE_S)
        answers.abandon(KEYS[0], asker="elsewhere")
        assert waiting[KEYS[0]].result(PATIENCE_S)
        assert not waiting[KEYS[1]].done()
        for key in KEYS[1:]:
            answers.abandon(key, asker="elsewhere")
        assert all(waited.result(PATIENCE_S) for waited in waiting.values())


def test_wait_ends_with_its_time_while_somebody_still_asks(answers: WatchedAnswers) -> None:
    watching = Lookout(answers)
    assert not watching.wait(KEYS[0], 0.01)
    answers.abandon(KEYS[0], asker="elsewhere")
    assert watching.wait(KEYS[0], PATIENCE_S)


def test_where_redis_fails_everybody_looks_for_himself(answers: WatchedAnswers) -> None:
    answers.fails = True
    assert Lookout(answers).wait(KEYS[0], PATIENCE_S)


def test_it_looks_again_after_a_while_without_work(answers: WatchedAnswers) -> None:
    watching = Lookout(answers)
    for key in KEYS[:3]:
        answers.abandon(key, asker="elsewhere")
        assert watching.wait(key, PATIENCE_S)
