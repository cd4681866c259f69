"""A worker waits for what it needs, says so, and goes on by itself."""

from __future__ import annotations

import logging
import signal

import pytest

from actors.process.start_up import SAY_EVERY_S, StartUp
from sync.errors import ConfigurationError, StoreUnavailable


def test_it_asks_until_there_is_an_answer_and_says_the_reason_now_and_then(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now_s = 0.0
    states: list[str] = []

    def sleep(for_s: float) -> None:
        nonlocal now_s
        now_s += for_s
        states.append(start_up.state)

    def ask() -> None:
        if now_s < 1:
            raise StoreUnavailable("no answer")
        if now_s < SAY_EVERY_S + 5:
            raise ConfigurationError("migrations are missing")

    start_up = StartUp(sleep=sleep, now_s=lambda: now_s)
    with caplog.at_level(logging.INFO):
        start_up.wait_for("sql", ask)
    assert set(states) == {"waiting for sql"}
    assert [record.message for record in caplog.records] == [
        "waiting_for_dependency",
        "waiting_for_dependency",
        "dependency_answers",
    ]
    assert vars(caplog.records[1])["reason"] == "migrations are missing"
    start_up.is_done()
    assert start_up.state == "running"


def test_a_sigterm_ends_a_wait_that_would_go_on() -> None:
    def ask() -> None:
        raise StoreUnavailable("SQL did not answer")

    before = signal.getsignal(signal.SIGTERM)
    start_up = StartUp(sleep=lambda _seconds: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        start_up.wait_for("sql", ask)
    assert ended.value.code == 0
    assert signal.getsignal(signal.SIGTERM) is before
