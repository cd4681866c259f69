"""Shared memory of the way out, in memory and in Redis: one suite for both."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import redis

from providers.door import Timing
from providers.outbound import Outbound
from providers.ports import Answers, Breakers, Ledgers
from stores.redis.answers import RedisAnswers
from stores.redis.breakers import RedisBreakers
from stores.redis.leases import RedisLeases
from stores.redis.quotas import RedisLedgers
from sync.ports import Leases
from tests.fakes import FakeLeases
from tests.outbound import MemoryAnswers, MemoryBreakers, MemoryLedgers
from tests.provider_server import ProviderServer

# So long that no test sees the end of it.
OPEN_FOR_S = 60.0

OpenBreakers = Callable[[float], Breakers]


@pytest.fixture(params=["memory", "redis"])
def ledgers(request: pytest.FixtureRequest, redis_client: redis.Redis, namespace: str) -> Ledgers:
    return MemoryLedgers() if request.param == "memory" else RedisLedgers(redis_client, namespace)


@pytest.fixture(params=["memory", "redis"])
def answers(request: pytest.FixtureRequest, redis_client: redis.Redis, namespace: str) -> Answers:
    return MemoryAnswers() if request.param == "memory" else RedisAnswers(redis_client, namespace)


@pytest.fixture(params=["memory", "redis"])
def open_breakers(request: pytest.FixtureRequest, redis_client: redis.Redis, namespace: str) -> OpenBreakers:
    """The same breakers, with another time that one of them is open from its next failure on."""
    in_memory = MemoryBreakers()

    def open_(open_for_s: float) -> Breakers:
        if request.param == "redis":
            return RedisBreakers(redis_client, namespace, open_for_s=open_for_s)
        in_memory.open_for_s = open_for_s
        return in_memory

    return open_


@pytest.fixture
def breakers(open_breakers: OpenBreakers) -> Breakers:
    return open_breakers(OPEN_FOR_S)


@pytest.fixture(params=["memory", "redis"])
def leases(request: pytest.FixtureRequest, redis_client: redis.Redis, namespace: str) -> Leases:
    return FakeLeases() if request.param == "memory" else RedisLeases(redis_client, namespace, lease_s=30)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer().running() as running:
        yield running


@pytest.fixture
def outbound() -> Iterator[Outbound]:
    opened = Outbound(
        ledgers=MemoryLedgers(),
        answers=MemoryAnswers(),
        breakers=MemoryBreakers(),
        timing=Timing(random_share=lambda: 0.0),
    )
    yield opened
    opened.close()
