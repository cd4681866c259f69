"""A scripted provider over HTTP and a way out to it over the real Redis stores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from providers.door import Timing
from providers.fetcher import Fetcher
from providers.outbound import Outbound
from providers.ports import ORDINARY, Conduct
from providers.upstream import Upstream
from settings.schema import HttpSettings
from stores.redis.answers import RedisAnswers
from stores.redis.breakers import RedisBreakers
from stores.redis.quotas import RedisLedgers
from tests.provider_server import ProviderServer

KEY = "s3cret-key"
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
QUICK = HttpSettings(retry_base_s=0.001, retry_cap_s=0.002, max_throttle_wait_s=2.0)

OpenFetcher = Callable[..., Fetcher]


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer().running() as running:
        yield running


@pytest.fixture
def outbound(redis_client: redis.Redis, namespace: str) -> Iterator[Outbound]:
    opened = Outbound(
        ledgers=RedisLedgers(redis_client, namespace),
        answers=RedisAnswers(redis_client, namespace),
        breakers=RedisBreakers(redis_client, namespace, open_for_s=60),
        timing=Timing(random_share=lambda: 1.0),
    )
    yield opened
    opened.close()


def upstream(server: ProviderServer, **changes: Any) -> Upstream:
    key = changes.pop("key", KEY)
    return Upstream(
        **{
            "provider": "playhq",
            "base_url": server.url,
            "credential": key,
            "headers": (("x-api-key", key),),
            "requests_per_s": 1000.0,
            "concurrency": 8,
            "min_throttle_wait_s": 0.01,
            "throttle_wait_s": 0.02,
            **changes,
        }
    )


def ever_after() -> datetime:
    """A time that no stored answer reaches."""
    return datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def open_fetcher(outbound: Outbound, server: ProviderServer) -> OpenFetcher:
    """Open a fetcher; by default nothing stored is fresh enough for it."""

    def open_(
        *,
        fresh_after: datetime | None = None,
        settings: HttpSettings = QUICK,
        is_urgent: bool = False,
        conduct: Conduct = ORDINARY,
        **changes: Any,
    ) -> Fetcher:
        return outbound.open(
            upstream(server, **changes),
            settings,
            fresh_after=fresh_after or ever_after(),
            is_urgent=is_urgent,
            conduct=conduct,
        )

    return open_
