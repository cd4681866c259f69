"""Leases of accounts and organisations: one holder at a time, proven by a growing fence."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis
from redis.commands.core import Script

from stores.redis.errors import answering
from sync.errors import AccountBusy, LeaseLost, StoreUnavailable
from sync.ports import Fence, Lease

# How long a run that found the account busy stays away, unless the lease ends sooner.
BUSY_RETRY_S = 5.0
# A holder that has just renewed its lease has it for sure: in this share of its life nothing is asked.
SURE_SHARE = 1 / 60

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

# A lease that ran out while its holder waited for a slow page, and that nobody has taken
# since, is taken up again: the work done under it is still the last.
_RENEW = """
local token = redis.call('HGET', KEYS[1], 'token')
if not token and ARGV[3] ~= '' and redis.call('GET', KEYS[2]) == ARGV[1] then
  redis.call('HSET', KEYS[1], 'owner', ARGV[3], 'token', ARGV[1])
elseif token ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""

_RELEASE = """
if redis.call('HGET', KEYS[1], 'token') == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class RedisLeases:
    """Satisfies `sync.ports.Leases`; a lease that is not renewed is free after `lease_s`.

    `lease_s` may be changed; leases that are held keep theirs.
    """

    def __init__(self, redis: Redis, namespace: str, *, lease_s: float) -> None:
        self._redis = redis
        self._namespace = namespace
        self.lease_s = lease_s
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
        keys = self._keys(key)
        lease_ms = self._lease_ms
        with answering():
            token, left_ms = self._take(keys=keys, args=[owner, lease_ms])
        if not token:
            spread_s = BUSY_RETRY_S * random.random()  # noqa: S311 - spreads load, guards nothing
            raise AccountBusy(
                f"another run works on {key}",
                retry_after_s=min(max(left_ms, 0) / 1000, BUSY_RETRY_S) + spread_s,
            )
        try:
            yield HeldLease(Fence(key, token), keys, self._renew, [lease_ms, owner])
        finally:
            # Unreleased, it ends by itself; the outcome of the work matters more.
            with suppress(StoreUnavailable), answering():
                self._release(keys=keys[:1], args=[token])

    def owner(self, key: str) -> str | None:
        """Who holds the lease of `key` now."""
        with answering():
            owner: Any = self._redis.hget(self._keys(key)[0], "owner")
        return owner.decode() if owner is not None else None

    def join(self, fence: Fence) -> Lease:
        """Work under a lease that another process holds; renewing it here keeps it, too.

        Once it has ended, it has ended: its holder may be gone.
        """
        return HeldLease(fence, self._keys(fence.key), self._renew, [self._lease_ms, ""])

    @property
    def _lease_ms(self) -> int:
        return round(self.lease_s * 1000)

    def _keys(self, key: str) -> list[str]:
        return [f"{{{self._namespace}}}:lease:{key}", f"{{{self._namespace}}}:fence:{key}"]


class HeldLease:
    """Satisfies `sync.ports.Lease`."""

    def __init__(self, fence: Fence, keys: list[str], renew: Script, terms: list[int | str]) -> None:
        self._fence = fence
        self._keys = keys
        self._renew = renew
        self._terms = terms  # how many ms it lasts, and who may take it up again
        self._sure_until_s = 0.0

    @property
    def fence(self) -> Fence:
        return self._fence

    def renew(self) -> None:
        """Raises LeaseLost when somebody else holds it, or has held it since."""
        asked_s = time.monotonic()
        if asked_s < self._sure_until_s:
            return
        with answering():
            is_held = self._renew(keys=self._keys, args=[self._fence.token, *self._terms])
        if not is_held:
            raise LeaseLost(
                f"the lease of {self._fence.key} passed to another run", retry_after_s=BUSY_RETRY_S
            )
        lasts_ms, owner = self._terms
        if owner:  # a helper must notice at once that its run has let go
            self._sure_until_s = asked_s + int(lasts_ms) / 1000 * SURE_SHARE
