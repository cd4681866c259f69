from __future__ import annotations

import pytest
import redis

from stores.redis.request_limits import RequestLimits


@pytest.fixture
def processes(redis_client: redis.Redis, namespace: str) -> list[RequestLimits]:
    """The limits as two web processes see them."""
    return [RequestLimits(redis_client, namespace) for _ in range(2)]


def test_all_processes_share_one_burst(processes: list[RequestLimits]) -> None:
    # A rate so low that the time the test takes earns nothing back.
    granted = [
        processes[number % 2].take("ann", 3, per_s=0.01, burst_s=1000.0).requests for number in range(8)
    ]
    assert sum(granted) == 11
    refused = processes[0].take("ann", 3, per_s=0.01, burst_s=1000.0)
    assert refused.requests == 0
    assert 0 < refused.wait_s <= 100


def test_callers_do_not_use_up_each_others_share(processes: list[RequestLimits]) -> None:
    processes[0].take("ann", 100, per_s=0.01, burst_s=1000.0)
    assert processes[1].take("bob", 1, per_s=0.01, burst_s=1000.0).requests == 1


def test_waiting_earns_requests_back(processes: list[RequestLimits]) -> None:
    first, other = processes
    first.take("ann", 100, per_s=1000.0, burst_s=0.01)
    wait_s = other.take("ann", 1, per_s=1000.0, burst_s=0.0).wait_s
    assert 0 <= wait_s <= 0.011
