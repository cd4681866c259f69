from __future__ import annotations

from web.limits import RateLimit


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def granted(limit: RateLimit, caller: str, count: int) -> int:
    return sum(limit.wait_s(caller) == 0 for _ in range(count))


def test_a_caller_may_burst_two_seconds_and_then_waits() -> None:
    limit = RateLimit(10, now_s=Clock())
    assert granted(limit, "a", 100) == 21
    assert 0 < limit.wait_s("a") <= 0.1


def test_callers_do_not_use_up_each_others_share() -> None:
    limit = RateLimit(10, now_s=Clock())
    granted(limit, "a", 100)
    assert limit.wait_s("b") == 0


def test_waiting_earns_requests_back_at_the_rate() -> None:
    clock = Clock()
    limit = RateLimit(10, now_s=clock)
    granted(limit, "a", 100)
    clock.now_s += 0.55
    assert granted(limit, "a", 100) == 5
