"""One circuit breaker a host, shared by all processes: closed -> open -> one probe -> closed.

Not pybreaker: its half-open state lets every process probe at once.
"""

from __future__ import annotations

import time

from redis import Redis

from stores.redis.errors import answering

FAILURES_TO_OPEN = 5
OPEN_FOR_S = 60.0
# A probe whose process was killed makes room for the next one.
PROBE_LIVES_S = 15.0
# A process that saw it closed does not ask again for this long.
TRUSTS_CLOSED_FOR_S = 0.25

# -> {wait in µs, failures so far}
_WAIT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local marks = redis.call('HMGET', KEYS[1], 'failures', 'open_until', 'probe_until')
if not marks[2] then return {0, tonumber(marks[1] or 0)} end
local busy_until = math.max(tonumber(marks[2]), tonumber(marks[3] or 0))
if now < busy_until then return {busy_until - now, tonumber(marks[1] or 0)} end
redis.call('HSET', KEYS[1], 'probe_until', string.format('%.0f', now + tonumber(ARGV[1])))
return {0, tonumber(marks[1] or 0)}
"""

_FAILED = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local failures = redis.call('HINCRBY', KEYS[1], 'failures', 1)
if failures >= tonumber(ARGV[1]) then
  redis.call('HSET', KEYS[1], 'open_until', string.format('%.0f', now + tonumber(ARGV[2])))
  redis.call('HDEL', KEYS[1], 'probe_until')
end
redis.call('PEXPIRE', KEYS[1], math.floor(tonumber(ARGV[2]) / 1000) * 10)
"""


class RedisBreakers:
    """Satisfies `providers.ports.Breakers`."""

    def __init__(self, redis: Redis, namespace: str, *, open_for_s: float = OPEN_FOR_S) -> None:
        self._redis = redis
        self._namespace = namespace
        self._open_for_s = open_for_s

    def breaker(self, host: str) -> RedisBreaker:
        key = f"{{{self._namespace}}}:breaker:{host}"
        return RedisBreaker(self._redis, key, open_for_s=self._open_for_s)


class RedisBreaker:
    """Satisfies `providers.ports.Breaker`."""

    def __init__(self, redis: Redis, key: str, *, open_for_s: float) -> None:
        self._redis = redis
        self._key = key
        self._open_for_s = open_for_s
        self._wait = redis.register_script(_WAIT)
        self._failed = redis.register_script(_FAILED)
        self._closed_until_s = 0.0
        self._has_failures = False

    def wait_s(self) -> float:
        """0 when a request may go out, else seconds until the next probe."""
        if time.monotonic() < self._closed_until_s:
            return 0.0
        with answering():
            wait_us, failures = self._wait(keys=[self._key], args=[round(PROBE_LIVES_S * 1e6)])
        self._has_failures = failures > 0
        if not self._has_failures:
            self._closed_until_s = time.monotonic() + TRUSTS_CLOSED_FOR_S
        return float(wait_us) / 1e6

    def succeeded(self) -> None:
        """Forget the failures; closes an open breaker."""
        if not self._has_failures:
            return
        with answering():
            self._redis.delete(self._key)
        self._has_failures = False

    def failed(self) -> None:
        """Count a failure; the fifth in a row, or that of a probe, opens the breaker."""
        self._has_failures = True
        self._closed_until_s = 0.0
        with answering():
            self._failed(keys=[self._key], args=[FAILURES_TO_OPEN, round(self._open_for_s * 1e6)])
