"""The quota of a provider key: rate, concurrency, pauses, and what is kept for urgent work."""

from __future__ import annotations

import threading
import time

import pytest

from providers.ports import Ledgers


def test_first_request_goes_at_once(ledgers: Ledgers) -> None:
    assert ledgers.ledger("key", requests_per_s=1, concurrency=4).admit("a", is_urgent=False).is_admitted


def test_next_request_is_told_when_to_ask_again(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=0.5, concurrency=4)
    ledger.admit("a", is_urgent=False)
    admission = ledger.admit("b", is_urgent=False)
    assert not admission.is_admitted
    assert admission.reason == "rate"
    assert admission.wait_s == pytest.approx(2, abs=0.2)


def test_no_more_requests_than_the_quota_within_a_second_however_urgent(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=3, concurrency=100)
    pause = threading.Event()
    admitted: list[float] = []
    while len(admitted) < 7:
        admission = ledger.admit(str(len(admitted)), is_urgent=True)
        if admission.is_admitted:
            admitted.append(time.monotonic())
        else:
            pause.wait(admission.wait_s)
    assert all(later - first > 0.98 for first, later in zip(admitted, admitted[3:], strict=False))


def test_urgent_request_that_waits_goes_before_ordinary_ones(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=4, concurrency=100)
    while ledger.admit(str(time.monotonic_ns()), is_urgent=True).is_admitted:
        pass
    pause = threading.Event()
    order: list[str] = []
    while len(order) < 2:
        for name, is_urgent in (("ordinary", False), ("urgent", True)):
            if ledger.admit(f"{name}{time.monotonic_ns()}", is_urgent=is_urgent).is_admitted:
                order.append(name)
        pause.wait(0.005)
    assert order[0] == "urgent"


def test_no_more_places_than_the_concurrency(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=10_000, concurrency=2)
    assert ledger.admit("a", is_urgent=False).is_admitted
    assert ledger.admit("b", is_urgent=False).is_admitted
    third = ledger.admit("c", is_urgent=False)
    assert not third.is_admitted
    assert third.reason == "concurrency"


def test_released_place_is_given_again(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=10_000, concurrency=1)
    ledger.admit("a", is_urgent=False)
    ledger.release("a")
    assert ledger.admit("b", is_urgent=False).is_admitted


def test_ordinary_requests_leave_a_place_to_urgent_ones(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=10_000, concurrency=4)
    ordinary = [ledger.admit(str(number), is_urgent=False).is_admitted for number in range(4)]
    assert ordinary == [True, True, True, False]
    assert ledger.admit("urgent", is_urgent=True).is_admitted


def test_pause_stops_everybody_for_its_length(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=10_000, concurrency=4)
    ledger.pause(5)
    for is_urgent in (False, True):
        admission = ledger.admit("a", is_urgent=is_urgent)
        assert not admission.is_admitted
        assert admission.reason == "pause"
        assert admission.wait_s == pytest.approx(5, abs=0.5)


def test_shorter_pause_does_not_end_a_longer_one(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=10_000, concurrency=4)
    ledger.pause(50)
    ledger.pause(1)
    assert ledger.admit("a", is_urgent=False).wait_s > 40


def test_ledgers_of_one_name_share_and_of_two_names_do_not(ledgers: Ledgers) -> None:
    ledgers.ledger("one", requests_per_s=10_000, concurrency=4).pause(5)
    assert (
        not ledgers.ledger("one", requests_per_s=10_000, concurrency=4).admit("a", is_urgent=True).is_admitted
    )
    assert ledgers.ledger("two", requests_per_s=10_000, concurrency=4).admit("a", is_urgent=True).is_admitted


def test_limits_named_later_hold_for_whoever_has_the_ledger(ledgers: Ledgers) -> None:
    held = ledgers.ledger("key", requests_per_s=10_000, concurrency=4)
    ledgers.ledger("key", requests_per_s=0.01, concurrency=1)
    assert held.admit("a", is_urgent=True).is_admitted
    assert held.admit("b", is_urgent=True).reason == "concurrency"
    held.release("a")
    assert held.admit("b", is_urgent=True).reason == "rate"


def test_what_a_lower_quota_put_off_is_not_waited_for_under_a_higher_one(ledgers: Ledgers) -> None:
    ledgers.ledger("key", requests_per_s=0.01, concurrency=4).admit("a", is_urgent=False)
    raised = ledgers.ledger("key", requests_per_s=10, concurrency=4)
    pause = threading.Event()
    waited_s = 0.0
    while not (admission := raised.admit("b", is_urgent=False)).is_admitted:
        pause.wait(admission.wait_s)
        waited_s += admission.wait_s
    assert waited_s < 2
