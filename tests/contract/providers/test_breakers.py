"""Circuit breakers: five failures in a row open one, a single probe decides what follows."""

from __future__ import annotations

import threading

from providers.ports import Breaker, Breakers
from stores.redis.breakers import PROBE_LIVES_S
from tests.contract.providers.conftest import OPEN_FOR_S, OpenBreakers

# Short enough to wait for in a test.
BRIEFLY_S = 0.1


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.failed()


def test_closed_breaker_lets_requests_out(breakers: Breakers) -> None:
    assert breakers.breaker("host").wait_s() == 0


def test_four_failures_leave_it_closed(breakers: Breakers) -> None:
    breaker = breakers.breaker("host")
    fail(breaker, 4)
    assert breaker.wait_s() == 0


def test_fifth_failure_opens_it(breakers: Breakers) -> None:
    breaker = breakers.breaker("host")
    fail(breaker, 5)
    assert 0 < breaker.wait_s() <= OPEN_FOR_S


def test_success_between_failures_starts_the_count_again(breakers: Breakers) -> None:
    breaker = breakers.breaker("host")
    fail(breaker, 4)
    breaker.succeeded()
    fail(breaker, 4)
    assert breaker.wait_s() == 0


def test_other_holders_of_the_host_see_it_open(breakers: Breakers) -> None:
    fail(breakers.breaker("host"), 5)
    assert breakers.breaker("host").wait_s() > 0
    assert breakers.breaker("another").wait_s() == 0


def test_one_probe_goes_out_when_its_time_is_over(open_breakers: OpenBreakers) -> None:
    breaker = open_breakers(BRIEFLY_S).breaker("host")
    fail(breaker, 5)
    wait_out(breaker)
    # The first caller after that is the probe (wait_out), and it is the only one.
    assert breaker.wait_s() > 0
    assert open_breakers(BRIEFLY_S).breaker("host").wait_s() > 0


def test_good_probe_closes_it(open_breakers: OpenBreakers) -> None:
    breaker = open_breakers(BRIEFLY_S).breaker("host")
    fail(breaker, 5)
    wait_out(breaker)
    breaker.succeeded()
    assert breaker.wait_s() == 0
    fail(breaker, 4)
    assert breaker.wait_s() == 0


def test_bad_probe_opens_it_again(open_breakers: OpenBreakers) -> None:
    breaker = open_breakers(BRIEFLY_S).breaker("host")
    fail(breaker, 5)
    wait_out(breaker)
    breaker = open_breakers(OPEN_FOR_S).breaker("host")
    breaker.failed()
    # Longer than another probe would have to wait for.
    assert PROBE_LIVES_S < breaker.wait_s() <= OPEN_FOR_S


def wait_out(breaker: Breaker) -> None:
    """Until a request may go out; this caller is then the probe."""
    pause = threading.Event()
    while (wait_s := breaker.wait_s()) > 0:
        pause.wait(wait_s)
