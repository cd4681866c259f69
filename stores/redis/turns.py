"""Whose turn it is to tell a channel something, and when the channel is to be left alone.

{ns}:channel:<name>:paused  STRING  while the channel asked to be left alone
{ns}:channels:off           HASH    name -> a SwitchedOff, until somebody or other settings switch it on
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

import msgspec
from redis import Redis

from stores.redis.breakers import RedisBreaker, RedisBreakers
from stores.redis.errors import answering
from stores.redis.leases import RedisLeases
from sync.ports import Lease

# Longer than the slowest message takes; a sender that was killed is followed after it.
TURN_LASTS_S = 30.0


class SwitchedOff(msgspec.Struct, frozen=True, kw_only=True):
    """Why and since when a channel is told nothing; `settings` is the mark of those that it had."""

    reason: str
    at: datetime
    settings: str


class Turns:
    """One sender a channel over all processes; all methods raise StoreUnavailable."""

    def __init__(self, client: Redis, namespace: str, *, turn_lasts_s: float = TURN_LASTS_S) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:channel:"
        self._off = f"{{{namespace}}}:channels:off"
        self._leases = RedisLeases(client, namespace, lease_s=turn_lasts_s)
        self._breakers = RedisBreakers(client, namespace)
        self._known: dict[str, RedisBreaker] = {}

    def take(self, channel: str, *, owner: str) -> AbstractContextManager[Lease]:
        """Raises AccountBusy while another one tells the channel something."""
        return self._leases.hold(f"channel:{channel}", owner=owner)

    def wait_s(self, channel: str) -> float:
        """How long the channel asked to be left alone, or its breaker wants it to be."""
        with answering():
            left_ms: Any = self._client.pttl(f"{self._prefix}{channel}:paused")
        return max(left_ms / 1000, 0.0) or self._breaker(channel).wait_s()

    def pause(self, channel: str, for_s: float) -> None:
        with answering():
            self._client.set(f"{self._prefix}{channel}:paused", 1, px=max(1, round(for_s * 1000)))

    def failed(self, channel: str) -> None:
        """The fifth failure in a row opens the channel's breaker for a minute."""
        self._breaker(channel).failed()

    def succeeded(self, channel: str) -> None:
        self._breaker(channel).succeeded()

    def switched_off(self) -> Mapping[str, SwitchedOff]:
        """The channels that are to be told nothing, by name."""
        with answering():
            found: Any = self._client.hgetall(self._off)
        return {name.decode(): msgspec.json.decode(off, type=SwitchedOff) for name, off in found.items()}

    def switch_off(self, channel: str, *, reason: str, at: datetime, settings: str) -> None:
        off = SwitchedOff(reason=reason, at=at, settings=settings)
        with answering():
            self._client.hset(self._off, channel, msgspec.json.encode(off))

    def switch_on(self, channel: str) -> bool:
        """Whether it was off."""
        with answering():
            return bool(self._client.hdel(self._off, channel))

    def _breaker(self, channel: str) -> RedisBreaker:
        return self._known.setdefault(channel, self._breakers.breaker(f"channel:{channel}"))
