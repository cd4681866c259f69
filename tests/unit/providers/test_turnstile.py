"""Queueing for the quota: short waits are waited, long ones deferred."""

from __future__ import annotations

import pytest

from providers.turnstile import Turnstile
from sync.errors import RateLimited
from tests.outbound import MemoryLedger, MemoryLedgers, Stopwatch


def make(clock: Stopwatch, *, max_pause_s: float = 5.0, **limits: float) -> tuple[Turnstile, MemoryLedger]:
    ledger = MemoryLedgers(clock).ledger(
        "key",
        requests_per_s=limits.get("requests_per_s", 10.0),
        concurrency=int(limits.get("concurrency", 4)),
    )
    return Turnstile(ledger, max_pause_s=max_pause_s, sleep=clock.sleep), ledger


def test_requests_leave_as_the_quota_says_and_catch_up_half_a_second() -> None:
    clock = Stopwatch()
    turnstile, _ = make(clock, requests_per_s=2.0)
    departures = []
    for _ in range(4):
        with turnstile.pass_through("fetch", is_urgent=False):
            departures.append(clock.now_s)
    assert departures == pytest.approx([0.0, 0.0, 1.0, 1.0])


def test_place_is_given_back_whatever_happens() -> None:
    turnstile, ledger = make(Stopwatch(), concurrency=1)
    with pytest.raises(KeyError), turnstile.pass_through("fetch", is_urgent=False):
        raise KeyError
    ledger.interval_s = 0
    with turnstile.pass_through("fetch", is_urgent=False):
        pass


def test_short_pause_is_waited_out() -> None:
    clock = Stopwatch()
    turnstile, ledger = make(clock)
    ledger.pause(3)
    with turnstile.pass_through("fetch", is_urgent=False):
        assert clock.now_s >= 3


def test_long_pause_is_deferred_by_its_length() -> None:
    clock = Stopwatch()
    turnstile, ledger = make(clock)
    ledger.pause(60)
    with (
        pytest.raises(RateLimited, match="fetch games of grade 7") as limited,
        turnstile.pass_through("fetch games of grade 7", is_urgent=False),
    ):
        pass
    assert limited.value.retry_after_s == 60
    assert clock.slept_s == []


def test_deferred_request_leaves_the_way_free() -> None:
    clock = Stopwatch()
    turnstile, ledger = make(clock)
    ledger.pause(60)
    with pytest.raises(RateLimited), turnstile.pass_through("fetch", is_urgent=False):
        pass
    clock.now_s += 60
    with turnstile.pass_through("fetch", is_urgent=False):
        pass


def test_queue_longer_than_a_run_may_wait_is_deferred() -> None:
    clock = Stopwatch()
    turnstile, _ = make(clock, requests_per_s=0.01)
    with turnstile.pass_through("fetch", is_urgent=False):
        pass
    with pytest.raises(RateLimited, match="used up"), turnstile.pass_through("fetch", is_urgent=False):
        pass
    assert clock.now_s == 0


def test_a_request_counts_from_when_it_left() -> None:
    turnstile, ledger = make(Stopwatch())
    with turnstile.pass_through("fetch", is_urgent=False):
        pass
    with turnstile.pass_through("fetch", is_urgent=False) as passage:
        passage.leave()
    never_sent, sent = ledger.late_s
    assert never_sent == 0.0
    assert sent > 0.0
