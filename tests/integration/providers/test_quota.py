"""One quota for all processes: the pace over several ways out, and places of the dead."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from providers.turnstile import Turnstile
from stores.redis.quotas import Admission, RedisLedger, RedisLedgers

RATE = 50.0
REQUESTS = 100
SLOW_RATE = 2.0
CROWD = 20


class NotingLedger:
    """A ledger that notes between which two moments each request was admitted."""

    def __init__(self, ledger: RedisLedger, admitted: list[tuple[float, float]]) -> None:
        self._ledger = ledger
        self._admitted = admitted

    def admit(self, place: str, *, is_urgent: bool) -> Admission:
        asked_s = time.monotonic()
        admission = self._ledger.admit(place, is_urgent=is_urgent)
        if admission.is_admitted:
            self._admitted.append((asked_s, time.monotonic()))
        return admission

    def left_late(self, place: str, *, late_s: float) -> None:
        self._ledger.left_late(place, late_s=late_s)

    def release(self, place: str, *, late_s: float = 0.0) -> None:
        self._ledger.release(place, late_s=late_s)

    def pause(self, for_s: float) -> None:
        self._ledger.pause(for_s)


@pytest.fixture
def clients(redis_url: str) -> Iterator[list[redis.Redis]]:
    """Of three processes."""
    clients = [redis.Redis.from_url(redis_url) for _ in range(3)]
    yield clients
    for client in clients:
        client.close()


def test_several_processes_together_keep_the_rate(clients: list[redis.Redis], namespace: str) -> None:
    admitted: list[tuple[float, float]] = []
    turnstiles = [
        Turnstile(
            NotingLedger(
                RedisLedgers(client, namespace).ledger("key", requests_per_s=RATE, concurrency=16), admitted
            ),
            max_pause_s=1,
        )
        for client in clients
    ]

    def request(number: int) -> None:
        with turnstiles[number % 3].pass_through("fetch", is_urgent=False):
            pass

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(request, range(REQUESTS)))
    assert len(admitted) == REQUESTS
    # Only those that were surely admitted within a second of each other, however busy the machine is.
    busiest = max(
        sum(first <= asked and given < first + 1.0 for asked, given in admitted) for first, _ in admitted
    )
    assert busiest <= RATE


def test_urgent_request_overtakes_a_crowd(redis_client: redis.Redis, namespace: str) -> None:
    ledgers = RedisLedgers(redis_client, namespace)
    turnstile = Turnstile(ledgers.ledger("key", requests_per_s=SLOW_RATE, concurrency=16), max_pause_s=1)

    is_under_way = threading.Event()

    def request(_: int) -> None:
        with turnstile.pass_through("fetch", is_urgent=False):
            is_under_way.set()

    with ThreadPoolExecutor(CROWD) as threads:
        crowd = [threads.submit(request, number) for number in range(CROWD)]
        assert is_under_way.wait(30)
        with turnstile.pass_through("fetch", is_urgent=True):
            is_crowd_waiting = not all(request.done() for request in crowd)
        ledgers.ledger("key", requests_per_s=1000, concurrency=16)  # nobody needs to wait any more
    assert is_crowd_waiting


def test_place_of_a_killed_process_frees_itself(redis_client: redis.Redis, namespace: str) -> None:
    ledger = RedisLedgers(redis_client, namespace).ledger("key", requests_per_s=1000, concurrency=1)
    assert ledger.admit("of the dead", is_urgent=False).is_admitted
    assert not ledger.admit("of the living", is_urgent=False).is_admitted
    # As if its time had run out.
    redis_client.zadd(f"{{{namespace}}}:quota:key:places", {"of the dead": 1})
    assert ledger.admit("of the living", is_urgent=False).is_admitted
