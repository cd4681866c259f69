from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from stores.redis.request_limits import Granted
from sync.errors import StoreUnavailable
from web.limits import LAPSES_AFTER_S, RateLimit


@dataclass
class Counter:
    """Grants what it holds; counts how often it is asked."""

    left: int = 1000
    questions: int = 0
    is_there: bool = True
    asked_of: list[str] = field(default_factory=list)

    def take(self, caller: str, count: int, *, per_s: float, burst_s: float) -> Granted:
        self.questions += 1
        self.asked_of.append(caller)
        if not self.is_there:
            raise StoreUnavailable("Redis did not answer")
        granted = min(count, self.left)
        self.left -= granted
        return Granted(granted, 0.0 if granted else 0.25)


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def waits(limit: RateLimit, count: int) -> list[float]:
    async def ask() -> list[float]:
        return await asyncio.gather(*(limit.wait_s("a") for _ in range(count)))

    return asyncio.run(ask())


def test_requests_are_taken_several_at_a_time() -> None:
    counter = Counter()
    assert set(waits(RateLimit(counter, lambda: 1000), 100)) == {0.0}
    assert counter.questions == 2


def test_what_is_used_up_everywhere_is_refused_with_the_wait() -> None:
    counter = Counter(left=60)
    answered = waits(RateLimit(counter, lambda: 1000), 70)
    assert answered.count(0.0) == 60
    assert set(answered) == {0.0, 0.25}


def test_what_was_taken_and_not_used_lapses() -> None:
    counter, clock = Counter(), Clock()
    limit = RateLimit(counter, lambda: 1000, now_s=clock)
    waits(limit, 1)
    clock.now_s += LAPSES_AFTER_S + 0.1
    waits(limit, 1)
    assert counter.questions == 2


@pytest.mark.parametrize("per_s", [0.5, 1000.0])
def test_without_redis_requests_are_granted(per_s: float) -> None:
    assert set(waits(RateLimit(Counter(is_there=False), lambda: per_s), 20)) == {0.0}
