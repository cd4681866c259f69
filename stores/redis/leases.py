"""Leases of accounts and organisations: one holder at a time, proven by a growing fence."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.commands.core import Script

from stores.redis.errors import answering
from sync.errors import AccountBusy, LeaseLost, StoreUnavailable
from sync.ports import Fence, Lease

# How long a run that found the account busy stays away, unless the lease ends sooner.
BUSY_RETRY_S = 5.0

# -> {token, 0} or {0, ms that the other holder has left}
_TAKE = """
local owner = redis.call('HGET', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return {0, redis.call('PTTL', KEYS[1])} end
-- At least the time: tokens go on growing when this Redis has lost its data.
local now = redis.call('TIME')
local last = tonumber(redis.call('GET', KEYS[2]) or '0')
local token = math.max(last + 1, now[1] * 1000 + math.floor(now[2] / 1000))
redis.call('SET', KEYS[2], token)
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'token', token)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {token, 0}
"""

_RENEW = """
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_RELEASE = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisLeases:
    """Satisfies `sync.ports.Leases`; a lease that is not renewed ends after `lease_s`."""

    def __init__(self, redis: Redis, namespace: str, *, lease_s: float) -> None:
        self._namespace = namespace
        self._lease_ms = round(lease_s * 1000)
        self._take = redis.register_script(_TAKE)
        self._renew = redis.register_script(_RENEW)
        self._release = redis.register_script(_RELEASE)

    @contextmanager
    def hold(self, key: str, *, owner: str) -> Iterator[Lease]:
        """Take the lease of `key` and release it at the end.

        The same owner may take it again, after a crash; what its former self still holds
        is lost by that. Raises AccountBusy while another owner holds it.
        """
        # The counter of fences stays when the lease is gone: a token is never given twice.
        keys = [f"{{{self._namespace}}}:lease:{key}", f"{{{self._namespace}}}:fence:{key}"]
        with answering():
            token, left_ms = self._take(keys=keys, args=[owner, self._lease_ms])
        if not token:
            spread_s = BUSY_RETRY_S * random.random()  # noqa: S311 - spreads load, guards nothing
            raise AccountBusy(
                f"another run works on {key}",
                retry_after_s=min(max(left_ms, 0) / 1000, BUSY_RETRY_S) + spread_s,
            )
        try:
            yield HeldLease(Fence(key, token), keys[0], self._renew, self._lease_ms)
        finally:
            # Unreleased, it ends by itself; the outcome of the work matters more.
            with suppress(StoreUnavailable), answering():
                self._release(keys=keys[:1], args=[token])

    def join(self, fence: Fence) -> Lease:
        """Work under a lease that another process holds; renewing it here keeps it, too."""
        return HeldLease(fence, f"{{{self._namespace}}}:lease:{fence.key}", self._renew, self._lease_ms)


class HeldLease:
    """Satisfies `sync.ports.Lease`."""

    def __init__(self, fence: Fence, redis_key: str, renew: Script, lease_ms: int) -> None:
        self._fence = fence
        self._redis_key = redis_key
        self._renew = renew
        self._lease_ms = lease_ms

    @property
    def fence(self) -> Fence:
        return self._fence

    def renew(self) -> None:
        """Raises LeaseLost when it ended or somebody else holds it."""
        with answering():
            is_held = self._renew(keys=[self._redis_key], args=[self._fence.token, self._lease_ms])
        if not is_held:
            raise LeaseLost(
                f"the lease of {self._fence.key} passed to another run", retry_after_s=BUSY_RETRY_S
            )
