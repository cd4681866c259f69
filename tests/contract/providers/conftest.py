"""Shared memory of the way out, in memory and in Redis: one suite for both."""

from __future__ import annotations

from collections.abc import Iterator

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

# Short enough to wait for in a test.
OPEN_FOR_S = 0.2


@pytest.fixture(params=["memory", "redis"])
def ledgers(request: pytest.FixtureRequest, redis_client: redis.Redis, namespace: str) -> Ledgers:
    return MemoryLedgers() if request.param == "memory" else RedisLedgers(redis_client, namespace)


@pytest.fixture(params=["memory", "redis"])
def answers(request: pytest.FixtureRequest, redis_client: redis.Redis, namespace: str) -> Answers:
    return MemoryAnswers() if request.param == "memory" else RedisAnswers(redis_client, namespace)


@pytest.fixture(params=["memory", "redis"])
def breakers(request: pytest.FixtureRequest, redis_client: redis.Redis, namespace: str) -> Breakers:
    if request.param == "memory":
        return MemoryBreakers(open_for_s=OPEN_FOR_S)
    return RedisBreakers(redis_client, namespace, open_for_s=OPEN_FOR_S)


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
