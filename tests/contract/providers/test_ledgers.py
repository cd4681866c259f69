"""The quota of a provider key: rate, concurrency, pauses, and what is kept for urgent work."""

from __future__ import annotations

import itertools
import threading
import time

from providers.ports import Ledgers


def test_first_request_goes_at_once(ledgers: Ledgers) -> None:
    assert ledgers.ledger("key", requests_per_s=1, concurrency=4).admit("a", is_urgent=False).is_admitted


def test_next_request_is_told_when_to_ask_again(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=0.01, concurrency=4)
    ledger.admit("a", is_urgent=False)
    admission = ledger.admit("b", is_urgent=False)
    assert not admission.is_admitted
    assert admission.reason == "rate"
    assert 80 < admission.wait_s <= 104


def test_no_more_requests_than_the_quota_within_a_second_however_urgent(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=3, concurrency=100)
    pause = threading.Event()
    asked: list[float] = []
    admitted: list[float] = []
    while len(admitted) < 7:
        asked_at = time.monotonic()
        admission = ledger.admit(str(len(admitted)), is_urgent=True)
        if admission.is_admitted:
            asked.append(asked_at)
            admitted.append(time.monotonic())
        else:
            pause.wait(admission.wait_s)
    # From before one was asked about to after the third next was admitted, however slow this process is.
    assert all(later - first > 0.98 for first, later in zip(asked, admitted[3:], strict=False))


def test_urgent_request_that_waits_goes_before_ordinary_ones(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=4, concurrency=100)
    pause = threading.Event()
    places = map(str, itertools.count())
    # An urgent request that does not ask again in time has given up, so a try that came late says nothing.
    while True:
        while True:
            asked_at = time.monotonic()
            if not (urgent := ledger.admit(next(places), is_urgent=True)).is_admitted:
                break
        pause.wait(urgent.wait_s)
        ordinary = ledger.admit(next(places), is_urgent=False)
        if time.monotonic() - asked_at < urgent.wait_s + 0.25:
            break
    assert not ordinary.is_admitted
    assert ledger.admit(next(places), is_urgent=True).is_admitted


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
    ledger.pause(50)
    for is_urgent in (False, True):
        admission = ledger.admit("a", is_urgent=is_urgent)
        assert not admission.is_admitted
        assert admission.reason == "pause"
        assert 30 < admission.wait_s <= 50


def test_shorter_pause_does_not_end_a_longer_one(ledgers: Ledgers) -> None:
    ledger = ledgers.ledger("key", requests_per_s=10_000, concurrency=4)
    ledger.pause(50)
    ledger.pause(1)
    assert ledger.admit("a", is_urgent=False).wait_s > 40


def test_ledgers_of_one_name_share_and_of_two_names_do_not(ledgers: Ledgers) -> None:
    ledgers.ledger("one", requests_per_s=10_000, concurrency=4).pause(50)
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
