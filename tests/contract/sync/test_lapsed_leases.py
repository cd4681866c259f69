"""A lease that ran out: kept when nobody else wanted it, lost when somebody took it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import redis

from stores.redis.leases import RedisLeases
from sync.errors import LeaseLost
from tests.conftest import Eventually

KEY = "playhq:a"


@pytest.fixture
def leases(redis_client: redis.Redis, namespace: str) -> RedisLeases:
    return RedisLeases(redis_client, namespace, lease_s=0.02)


@pytest.fixture
def has_lapsed(redis_client: redis.Redis, namespace: str) -> Callable[[], bool]:
    return lambda: not redis_client.exists(f"{{{namespace}}}:lease:{KEY}")


def test_a_slow_page_does_not_cost_the_lease(
    leases: RedisLeases, has_lapsed: Callable[[], bool], eventually: Eventually
) -> None:
    with leases.hold(KEY, owner="run-1") as lease:
        eventually(has_lapsed)
        lease.renew()


def test_a_lapsed_lease_that_another_run_had_since_is_lost(
    leases: RedisLeases, has_lapsed: Callable[[], bool], eventually: Eventually
) -> None:
    with leases.hold(KEY, owner="run-1") as lease:
        eventually(has_lapsed)
        with leases.hold(KEY, owner="run-2"):
            pass
        with pytest.raises(LeaseLost):
            lease.renew()


def test_a_helper_keeps_no_lease_that_its_holder_let_go(redis_client: redis.Redis, namespace: str) -> None:
    leases = RedisLeases(redis_client, namespace, lease_s=30)
    with leases.hold(KEY, owner="run-1") as lease:
        helper = leases.join(lease.fence)
        lease.renew()
        helper.renew()
    with pytest.raises(LeaseLost):
        helper.renew()
