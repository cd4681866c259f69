"""How often each caller may ask, counted for all web processes together.

GCRA: a caller's next free moment moves on by one interval a request, and may be ahead of now by
a burst. A process takes several requests at once, so that not each one costs a question to Redis.
"""

from __future__ import annotations

from typing import NamedTuple

import redis

from stores.redis.errors import answering

# KEYS: the caller's next free moment. ARGV: interval, burst (both in µs), how many are wanted.
# -> {granted, wait in µs}
_TAKE = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local interval, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local free = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local room = math.floor((now + burst - free) / interval) + 1
local granted = math.min(room, tonumber(ARGV[3]))
if granted < 1 then return {0, math.ceil(free - burst - now)} end
free = free + granted * interval
redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', math.ceil((free - now) / 1000) + 1000)
return {granted, 0}
"""


class Granted(NamedTuple):
    """How many requests may go on; if none, how long to wait."""

    requests: int
    wait_s: float


class RequestLimits:
    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._take = client.register_script(_TAKE)
        self._prefix = f"{{{namespace}}}:requests:"

    def take(self, caller: str, count: int, *, per_s: float, burst_s: float) -> Granted:
        """Take up to `count` requests of the caller's. Raises StoreUnavailable."""
        arguments = (1e6 / per_s, burst_s * 1e6, count)
        with answering():
            granted, wait_us = self._take(keys=[self._prefix + caller], args=arguments)
        return Granted(int(granted), int(wait_us) / 1e6)
