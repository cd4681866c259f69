"""What only a real Redis can show of leases: they end by themselves."""

from __future__ import annotations

import pytest
import redis

from stores.redis.leases import RedisLeases
from sync.errors import LeaseLost
from tests.conftest import Eventually


def test_lease_that_is_not_renewed_is_free_for_others_and_lost_to_its_holder(
    redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    leases = RedisLeases(redis_client, namespace, lease_s=30)
    with leases.hold("playhq:a", owner="run-1") as lapsed:
        redis_client.pexpire(f"{{{namespace}}}:lease:playhq:a", 1)
        eventually(lambda: not redis_client.exists(f"{{{namespace}}}:lease:playhq:a"))
        with leases.hold("playhq:a", owner="run-2"), pytest.raises(LeaseLost):
            lapsed.renew()


def test_renewed_lease_lives_on(redis_client: redis.Redis, namespace: str) -> None:
    leases = RedisLeases(redis_client, namespace, lease_s=30)
    with leases.hold("playhq:a", owner="run-1") as lease:
        redis_client.pexpire(f"{{{namespace}}}:lease:playhq:a", 1_000)
        lease.renew()
        assert redis_client.pttl(f"{{{namespace}}}:lease:playhq:a") > 20_000


def test_fences_go_on_growing_when_redis_has_lost_its_data(redis_client: redis.Redis, namespace: str) -> None:
    leases = RedisLeases(redis_client, namespace, lease_s=30)
    with leases.hold("playhq:a", owner="run-1") as lease:
        before = lease.fence.token
    redis_client.delete(f"{{{namespace}}}:fence:playhq:a")
    with leases.hold("playhq:a", owner="run-2") as lease:
        assert lease.fence.token >= before


def test_a_changed_term_counts_for_leases_that_begin_after_it(
    redis_client: redis.Redis, namespace: str
) -> None:
    leases = RedisLeases(redis_client, namespace, lease_s=30)
    with leases.hold("playhq:a", owner="run-1") as held:
        leases.lease_s = 300
        held.renew()
        assert redis_client.pttl(f"{{{namespace}}}:lease:playhq:a") <= 30_000
        with leases.hold("playhq:b", owner="run-2"):
            assert redis_client.pttl(f"{{{namespace}}}:lease:playhq:b") > 200_000
