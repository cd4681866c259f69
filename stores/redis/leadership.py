"""Who leads among several schedulers: one key that expires, and a term that grows with each leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from stores.redis.errors import answering

# KEYS: leader, term. ARGV: owner, lease in ms. Answers the term, or 0 while another one leads.
_TAKE = """
local leader = redis.call("GET", KEYS[1])
if leader and leader ~= ARGV[1] then
    return 0
end
redis.call("SET", KEYS[1], ARGV[1], "PX", ARGV[2])
if leader then
    return tonumber(redis.call("GET", KEYS[2]))
end
return redis.call("INCR", KEYS[2])
"""

_GIVE_UP = """
if redis.call("GET", KEYS[1]) == ARGV[1] then
    return redis.call("DEL", KEYS[1])
end
return 0
"""


@dataclass(frozen=True, slots=True)
class Leader:
    owner: str
    term: int


class Leadership:
    """`owner` is unique to a process. Raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._keys = [leader_key(namespace), f"{{{namespace}}}:schedule:term"]
        self._take = client.register_script(_TAKE)
        self._give_up = client.register_script(_GIVE_UP)

    def take(self, owner: str, lease_s: float) -> int | None:
        """Lead, or go on leading, for `lease_s` from now; the term, or None while another one leads."""
        with answering():
            term: Any = self._take(keys=self._keys, args=[owner, round(lease_s * 1000)])
        return int(term) or None

    def give_up(self, owner: str) -> None:
        """Let the next one lead at once; does nothing when it leads already."""
        with answering():
            self._give_up(keys=self._keys[:1], args=[owner])

    def find(self) -> Leader | None:
        """Who leads now."""
        with answering():
            values: Any = self._client.mget(self._keys)
        owner, term = values
        return Leader(owner.decode(), int(term)) if owner else None


def leader_key(namespace: str) -> str:
    return f"{{{namespace}}}:schedule:leader"
