"""One quota for all processes: the pace over several ways out, and places of the dead."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from concurrent.futures import ThreadPoolExecutor

import redis

from providers.turnstile import Turnstile
from stores.redis.quotas import RedisLedgers

RATE = 50.0
REQUESTS = 100


def test_several_processes_together_keep_the_rate_and_use_it(
    redis_client: redis.Redis, redis_url: str, namespace: str
) -> None:
    turnstiles = [
        Turnstile(
            RedisLedgers(redis.Redis.from_url(redis_url), namespace).ledger(
                "key", requests_per_s=RATE, concurrency=16
            ),
            max_pause_s=1,
        )
        for _ in range(3)
    ]
    departures: list[float] = []

    def request(number: int) -> None:
        with turnstiles[number % 3].pass_through("fetch", is_urgent=False):
            departures.append(time.monotonic())

    with ThreadPoolExecutor(24) as threads:
        list(threads.map(request, range(REQUESTS)))
    departures.sort()
    busiest = max(bisect_left(departures, first + 1.0) - number for number, first in enumerate(departures))
    # Two more than the quota is how unpunctual the threads of a busy machine may be here.
    assert busiest <= RATE + 2
    assert departures[-1] - departures[0] <= 1.15 * REQUESTS / RATE


def test_urgent_request_overtakes_a_crowd(redis_client: redis.Redis, namespace: str) -> None:
    ledger = RedisLedgers(redis_client, namespace).ledger("key", requests_per_s=RATE, concurrency=16)
    turnstile = Turnstile(ledger, max_pause_s=1)

    is_under_way = threading.Event()

    def request(_: int) -> None:
        with turnstile.pass_through("fetch", is_urgent=False):
            is_under_way.set()

    with ThreadPoolExecutor(40) as threads:
        crowd = [threads.submit(request, number) for number in range(60)]
        assert is_under_way.wait(5)
        started_s = time.monotonic()
        with turnstile.pass_through("fetch", is_urgent=True):
            waited_s = time.monotonic() - started_s
        is_crowd_waiting = not all(request.done() for request in crowd)
    assert is_crowd_waiting
    assert waited_s < 0.4


def test_place_of_a_killed_process_frees_itself(redis_client: redis.Redis, namespace: str) -> None:
    ledger = RedisLedgers(redis_client, namespace).ledger("key", requests_per_s=1000, concurrency=1)
    assert ledger.admit("of the dead", is_urgent=False).is_admitted
    assert not ledger.admit("of the living", is_urgent=False).is_admitted
    # As if its time had run out.
    redis_client.zadd(f"{{{namespace}}}:quota:key:places", {"of the dead": 1})
    assert ledger.admit("of the living", is_urgent=False).is_admitted
