"""The quota ledger of each provider key, shared by all processes.

Two rules bound the rate. A theoretical arrival time that moves on by one interval a request
(GCRA) spaces requests out; a log of the last second's requests holds the quota exactly,
however unpunctual the senders are. Both say how long to wait. Concurrency is bounded by
places that free themselves when their holder dies.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from redis import Redis

from stores.redis.errors import answering

# When a request left our process is noted; it reaches the provider a little later, and never
# equally late.
WINDOW_MARGIN = 1.04
# Above this nobody counts requests, and the log would only cost.
MOST_LOGGED_REQUESTS_PER_S = 1000
# How far ahead of even spacing requests may go, to catch up: a run's first requests come one
# after the other, and would leave much of its first seconds unused.
ORDINARY_TOLERANCE_S = 0.5
URGENT_TOLERANCE_S = 0.8
# A place outlives common timeouts; one whose holder was killed is lost for this long.
PLACE_LIVES_S = 15.0
# Ordinary work leaves one place in so many to urgent work.
PLACES_A_RESERVED_ONE = 8
LEAST_PLACES_FOR_RESERVE = 4
# How soon to ask again for a place; the process's own returned places wake it earlier.
PLACE_POLL_S = 0.02

# KEYS: marks, places, log of departures (places by when they were admitted, or left).
# ARGV: place, interval, tolerance, places to be had, life of a place, poll, requests a window,
#       window, is urgent, furthest arrival; times in µs.
# -> {1, 0, ''} or {0, wait in µs, reason}
_ADMIT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, tolerance, most = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[7])
local marks = redis.call('HMGET', KEYS[1], 'arrival', 'paused_until', 'urgent_until')
local paused_until = tonumber(marks[2] or 0)
if paused_until > now then return {0, paused_until - now, 'pause'} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return {0, tonumber(ARGV[6]), 'concurrency'} end
local arrival = math.max(tonumber(marks[1] or 0), now)
if arrival > now + tonumber(ARGV[10]) then
  -- Lower limits, which held before, put it further ahead than these ever would.
  arrival = now + tonumber(ARGV[10])
  redis.call('HSET', KEYS[1], 'arrival', string.format('%.0f', arrival))
end
local wait = arrival - tolerance - now
if most > 0 then
  local oldest = redis.call('ZREVRANGE', KEYS[3], most - 1, most - 1, 'WITHSCORES')[2]
  if oldest then wait = math.max(wait, tonumber(oldest) + tonumber(ARGV[8]) - now) end
end
-- An urgent request that waits goes before ordinary ones.
if ARGV[9] == '0' then wait = math.max(wait, math.min(tonumber(marks[3] or 0) - now, interval)) end
if wait > 0 then
  if ARGV[9] == '1' then
    redis.call('HSET', KEYS[1], 'urgent_until', string.format('%.0f', now + wait + interval))
  end
  return {0, math.ceil(wait), 'rate'}
end
redis.call('HSET', KEYS[1], 'arrival', string.format('%.0f', arrival + interval))
if ARGV[9] == '1' then redis.call('HDEL', KEYS[1], 'urgent_until') end
redis.call('ZADD', KEYS[2], string.format('%.0f', now + tonumber(ARGV[5])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], 7200000)
redis.call('PEXPIRE', KEYS[2], 7200000)
if most > 0 then
  redis.call('ZADD', KEYS[3], string.format('%.0f', now), ARGV[1])
  redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -most - 1)
  redis.call('PEXPIRE', KEYS[3], 7200000)
end
return {1, 0, ''}
"""

# KEYS: places, log of departures. ARGV: place, how much later than admitted its request left in µs.
_RELEASE = """
redis.call('ZREM', KEYS[1], ARGV[1])
if ARGV[2] ~= '0' then redis.call('ZADD', KEYS[2], 'XX', 'INCR', ARGV[2], ARGV[1]) end
"""

_PAUSE = """
local clock = redis.call('TIME')
local until_ = clock[1] * 1000000 + clock[2] + tonumber(ARGV[1])
local paused_until = tonumber(redis.call('HGET', KEYS[1], 'paused_until') or 0)
if until_ > paused_until then
  redis.call('HSET', KEYS[1], 'paused_until', string.format('%.0f', until_))
  redis.call('PEXPIRE', KEYS[1], 7200000)
end
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Satisfies `providers.ports.Admission`."""

    is_admitted: bool
    wait_s: float
    reason: str = ""


class Limits(msgspec.Struct, frozen=True):
    """What a provider key may do; kept for those who only look."""

    requests_per_s: float
    concurrency: int

    @property
    def requests_a_window(self) -> int:
        """A window has whole requests: it is about a second, and longer for less than one a second."""
        return max(1, int(self.requests_per_s))

    @property
    def is_logged(self) -> bool:
        return self.requests_per_s <= MOST_LOGGED_REQUESTS_PER_S

    @property
    def ordinary_concurrency(self) -> int:
        """The places of ordinary work: all but those kept for urgent work."""
        if self.concurrency < LEAST_PLACES_FOR_RESERVE:
            return self.concurrency
        return self.concurrency - -(-self.concurrency // PLACES_A_RESERVED_ONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaState:
    """A provider key now; `name` is the provider's and a hash of the key."""

    name: str
    limits: Limits
    running: int
    sent_last_s: int
    paused_s: float

    @property
    def provider(self) -> str:
        return self.name.partition(":")[0]


def read_quotas(redis: Redis, namespace: str) -> list[QuotaState]:
    """Every provider key that was ever used here. Raises StoreUnavailable."""
    with answering():
        known: Any = redis.hgetall(f"{{{namespace}}}:quotas")
        with redis.pipeline(transaction=False) as pipe:
            pipe.time()
            for name in known:
                key = f"{{{namespace}}}:quota:{name.decode()}"
                pipe.hget(key, "paused_until")
                pipe.zrange(f"{key}:places", 0, -1, withscores=True)
                pipe.zrange(f"{key}:departures", 0, -1, withscores=True)
            (now_s, now_us), *found = pipe.execute()
    now = now_s * 1_000_000 + now_us
    return [
        QuotaState(
            name=name.decode(),
            limits=msgspec.json.decode(limits, type=Limits),
            running=sum(ends > now for _, ends in places),
            sent_last_s=sum(at > now - 1_000_000 for _, at in departures),
            paused_s=max(0.0, (int(paused_until or 0) - now) / 1e6),
        )
        for (name, limits), paused_until, places, departures in zip(
            known.items(), found[::3], found[1::3], found[2::3], strict=True
        )
    ]


class RedisLedgers:
    """Satisfies `providers.ports.Ledgers`."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._namespace = namespace
        self._ledgers: dict[str, RedisLedger] = {}

    def ledger(self, name: str, *, requests_per_s: float, concurrency: int) -> RedisLedger:
        """The ledger of a provider key, one for all of this process.

        Whoever has it already goes by these limits too from now on: a run that began under a
        higher quota must not use it on, and one that began under a lower one would starve.
        """
        limits = Limits(requests_per_s=requests_per_s, concurrency=concurrency)
        ledger = self._ledgers.get(name)
        if ledger is None or ledger.limits != limits:
            with answering():
                self._redis.hset(f"{{{self._namespace}}}:quotas", name, msgspec.json.encode(limits))
        if ledger is None:
            key = f"{{{self._namespace}}}:quota:{name}"
            ledger = self._ledgers.setdefault(name, RedisLedger(self._redis, key, limits))
        ledger.limits = limits
        return ledger


class RedisLedger:
    """Satisfies `providers.ports.Ledger`."""

    def __init__(self, redis: Redis, key: str, limits: Limits) -> None:
        self._redis = redis
        self._key = key
        self._places_key = f"{key}:places"
        self._log_key = f"{key}:departures"
        self._admit = redis.register_script(_ADMIT)
        self._release = redis.register_script(_RELEASE)
        self._pause = redis.register_script(_PAUSE)
        self.limits = limits

    def admit(self, place: str, *, is_urgent: bool) -> Admission:
        """Take a turn and a place, or say how long until it is worth asking again."""
        limits = self.limits
        with answering():
            is_admitted, wait_us, reason = self._admit(
                keys=[self._key, self._places_key, self._log_key],
                args=[
                    place,
                    _us(1 / limits.requests_per_s),
                    _us(URGENT_TOLERANCE_S if is_urgent else ORDINARY_TOLERANCE_S),
                    limits.concurrency if is_urgent else limits.ordinary_concurrency,
                    _us(PLACE_LIVES_S),
                    _us(PLACE_POLL_S),
                    limits.requests_a_window if limits.is_logged else 0,
                    _us(WINDOW_MARGIN * limits.requests_a_window / limits.requests_per_s),
                    int(is_urgent),
                    _us(URGENT_TOLERANCE_S + 1 / limits.requests_per_s),
                ],
            )
        if is_admitted:
            return Admission(is_admitted=True, wait_s=0.0)
        return Admission(is_admitted=False, wait_s=wait_us / 1e6, reason=reason.decode())

    def left_late(self, place: str, *, late_s: float) -> None:
        """Count the request of the place from so long after its admission."""
        with answering():
            self._redis.zadd(self._log_key, {place: _us(late_s)}, xx=True, incr=True)

    def release(self, place: str, *, late_s: float = 0.0) -> None:
        """Give the place back; its request counts from so long after its admission."""
        with answering():
            self._release(keys=[self._places_key, self._log_key], args=[place, _us(late_s)])

    def pause(self, for_s: float) -> None:
        """Admit nobody for this long; a longer pause that runs already stays."""
        with answering():
            self._pause(keys=[self._key], args=[_us(for_s)])


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
