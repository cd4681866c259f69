"""Gathers in Redis: which units of a fanned-out run are left, and who has begun them.

Each unit is a field of one hash, with the time at which its claim lapses; a finished unit
is gone. So nothing is counted that a crash could count twice.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from redis import Redis

from stores.redis.errors import answering

# Longer than any attempt of a run; then a forgotten one is cleaned away.
_KEPT_S = 24 * 3600

# KEYS units, token, wake; ARGV token, seconds kept, units
_OPEN = """
redis.call('DEL', KEYS[1], KEYS[3])
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
for i = 3, #ARGV do redis.call('HSET', KEYS[1], ARGV[i], 0) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
"""

# KEYS units, token; ARGV unit, token, ms that the claim lasts
_CLAIM = """
if redis.call('GET', KEYS[2]) ~= ARGV[2] then return 0 end
local lapses = redis.call('HGET', KEYS[1], ARGV[1])
if not lapses then return 0 end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if tonumber(lapses) > now then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], now + ARGV[3])
return 1
"""

# KEYS units, wake; ARGV unit, whether it is done, seconds kept
_SETTLE = """
if ARGV[2] == '1' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  local left = redis.call('HLEN', KEYS[1])
  if left > 0 then return left end
elseif redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then
  redis.call('HSET', KEYS[1], ARGV[1], 0)
else
  return redis.call('HLEN', KEYS[1])
end
redis.call('RPUSH', KEYS[2], 1)
redis.call('EXPIRE', KEYS[2], ARGV[3])
return redis.call('HLEN', KEYS[1])
"""


class RedisGathers:
    """Satisfies `sync.grades.ports.Gathers`; a claim lapses `claim_s` after it was made, which may change.

    Raises StoreUnavailable.
    """

    def __init__(self, redis: Redis, namespace: str, *, claim_s: float) -> None:
        self._redis = redis
        self._prefix = f"{{{namespace}}}:gather:"
        self.claim_s = claim_s
        self._open = redis.register_script(_OPEN)
        self._claim = redis.register_script(_CLAIM)
        self._settle = redis.register_script(_SETTLE)

    def open(self, run_id: str, units: Collection[str], *, token: int) -> None:
        with answering():
            self._open(keys=self._keys(run_id), args=[token, _KEPT_S, *units])

    def claim(self, run_id: str, unit: str, *, token: int) -> bool:
        with answering():
            claim_ms = round(self.claim_s * 1000)
            return bool(self._claim(keys=self._keys(run_id)[:2], args=[unit, token, claim_ms]))

    def settle(self, run_id: str, unit: str, *, is_done: bool) -> int:
        units, _, wake = self._keys(run_id)
        with answering():
            return int(self._settle(keys=[units, wake], args=[unit, int(is_done), _KEPT_S]))

    def wait(self, run_id: str, *, timeout_s: float) -> Collection[str]:
        units, _, wake = self._keys(run_id)
        with answering():
            if self._redis.exists(units):
                self._redis.blpop([wake], timeout=timeout_s)
            left: Any = self._redis.hkeys(units)
        return {unit.decode() for unit in left}

    def close(self, run_id: str) -> None:
        with answering():
            self._redis.delete(*self._keys(run_id))

    def _keys(self, run_id: str) -> tuple[str, str, str]:
        key = self._prefix + run_id
        return f"{key}:units", f"{key}:token", f"{key}:wake"
