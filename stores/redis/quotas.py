"""The quota ledger of each provider key, shared by all processes.

Rate by GCRA: a theoretical arrival time moves on by one interval a request, so that the
script can say exactly how long a request has to wait, and reserve that moment for it.
Concurrency by places that free themselves when their holder dies.
"""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from stores.redis.errors import answering

# Requests that leave a little late must not crowd into the same second as punctual ones.
INTERVAL_MARGIN = 1.05
# A place outlives common timeouts; one whose holder was killed is lost for this long.
PLACE_LIVES_S = 15.0
# Ordinary work reserves only this far ahead, so that urgent work waits no longer than that.
ORDINARY_HORIZON_S = 0.1
URGENT_HORIZON_S = 0.5
# Ordinary work leaves one place in so many to urgent work.
PLACES_A_RESERVED_ONE = 8
LEAST_PLACES_FOR_RESERVE = 4
# How soon to ask again for a place; the process's own returned places wake it earlier.
PLACE_POLL_S = 0.02

# -> {admitted, wait in µs, reason}
_ADMIT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, cap, horizon = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local marks = redis.call('HMGET', KEYS[1], 'arrival', 'paused_until')
local paused_until = tonumber(marks[2] or 0)
if paused_until > now then return {0, paused_until - now, 'pause'} end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= cap then return {0, tonumber(ARGV[6]), 'concurrency'} end
local arrival = math.max(tonumber(marks[1] or 0), now)
local wait = arrival - now
if wait > horizon then return {0, wait - math.floor(horizon / 2), 'rate'} end
redis.call('HSET', KEYS[1], 'arrival', string.format('%.0f', arrival + interval))
redis.call('ZADD', KEYS[2], string.format('%.0f', now + wait + tonumber(ARGV[5])), ARGV[1])
redis.call('PEXPIRE', KEYS[1], 7200000)
redis.call('PEXPIRE', KEYS[2], 7200000)
return {1, wait, ''}
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


class RedisLedgers:
    """Satisfies `providers.ports.Ledgers`."""

    def __init__(self, redis: Redis, namespace: str) -> None:
        self._redis = redis
        self._namespace = namespace

    def ledger(self, name: str, *, requests_per_s: float, concurrency: int) -> RedisLedger:
        """The ledger of a provider key; its limits may differ from those it had before."""
        key = f"{{{self._namespace}}}:quota:{name}"
        return RedisLedger(self._redis, key, requests_per_s=requests_per_s, concurrency=concurrency)


class RedisLedger:
    """Satisfies `providers.ports.Ledger`."""

    def __init__(self, redis: Redis, key: str, *, requests_per_s: float, concurrency: int) -> None:
        self._redis = redis
        self._key = key
        self._places_key = f"{key}:places"
        self._admit = redis.register_script(_ADMIT)
        self._pause = redis.register_script(_PAUSE)
        interval_s = INTERVAL_MARGIN / requests_per_s
        self._interval_us = _us(interval_s)
        self._ordinary_horizon_us = _us(max(ORDINARY_HORIZON_S, 2 * interval_s))
        self._urgent_horizon_us = _us(max(URGENT_HORIZON_S, 4 * interval_s))
        self._concurrency = concurrency
        reserved = -(-concurrency // PLACES_A_RESERVED_ONE) if concurrency >= LEAST_PLACES_FOR_RESERVE else 0
        self._ordinary_concurrency = concurrency - reserved

    def admit(self, place: str, *, is_urgent: bool) -> Admission:
        """Reserve a moment and a place, or say how long until it is worth asking again."""
        with answering():
            is_admitted, wait_us, reason = self._admit(
                keys=[self._key, self._places_key],
                args=[
                    place,
                    self._interval_us,
                    self._concurrency if is_urgent else self._ordinary_concurrency,
                    self._urgent_horizon_us if is_urgent else self._ordinary_horizon_us,
                    _us(PLACE_LIVES_S),
                    _us(PLACE_POLL_S),
                ],
            )
        return Admission(is_admitted=bool(is_admitted), wait_s=wait_us / 1e6, reason=reason.decode())

    def release(self, place: str) -> None:
        with answering():
            self._redis.zrem(self._places_key, place)

    def pause(self, for_s: float) -> None:
        """Admit nobody for this long; a longer pause that runs already stays."""
        with answering():
            self._pause(keys=[self._key], args=[_us(for_s)])


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
