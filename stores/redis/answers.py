"""Providers' answers as they came, with their validators; one asker a key over all processes."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from redis import Redis

from stores.redis.errors import answering

# A nightly batch finds the validators of the night before, also when it starts late.
ANSWERS_LIVE_S = 36 * 3600
# An asker that was killed keeps the others waiting for this long, no longer than its message
# takes to be found; a slower one is asked beside, by one of those who wait.
TURN_LIVES_S = 10

# -> {is fresh, has turn, at, body, etag, last modified}; the last four only when they are of use.
_LOOK_UP = """
local stored = redis.call('HMGET', KEYS[1], 'at', 'body', 'etag', 'last_modified')
if stored[1] and tonumber(stored[1]) >= tonumber(ARGV[1]) then
  return {1, 0, stored[1], stored[2], stored[3], stored[4]}
end
if not redis.call('SET', KEYS[2], ARGV[2], 'NX', 'PX', ARGV[3]) then return {0, 0} end
return {0, 1, stored[1], stored[2], stored[3], stored[4]}
"""

# KEYS: answers. ARGV: the oldest that may be used. -> of each its digest, '' for a 404, or nil
_DIGESTS = """
local found = {}
for number, key in ipairs(KEYS) do
  local stored = redis.call('HMGET', key, 'at', 'digest')
  local is_fresh = stored[1] and tonumber(stored[1]) >= tonumber(ARGV[1])
  found[number] = is_fresh and (stored[2] or redis.call('HEXISTS', key, 'body') == 0 and '')
end
return found
"""

_END_TURN = """
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
"""

_SAVE = (
    """
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 3))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
"""
    + _END_TURN
)

_CONFIRM = (
    """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('HSET', KEYS[1], 'at', ARGV[3])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
"""
    + _END_TURN
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """Satisfies `providers.ports.Answer`."""

    body: bytes | None
    fetched_at: datetime
    validators: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredLookup:
    """Satisfies `providers.ports.Lookup`."""

    answer: StoredAnswer | None
    is_fresh: bool
    has_turn: bool


class RedisAnswers:
    """Satisfies `providers.ports.Answers`; the client must not decode responses."""

    def __init__(self, redis: Redis, namespace: str, *, turn_lives_s: float = TURN_LIVES_S) -> None:
        self._redis = redis
        self._turn_lives_ms = round(turn_lives_s * 1000)
        self._prefix = f"{{{namespace}}}:answers:"
        self._look_up = redis.register_script(_LOOK_UP)
        self._save = redis.register_script(_SAVE)
        self._digests = redis.register_script(_DIGESTS)
        self._confirm = redis.register_script(_CONFIRM)
        self._end_turn = redis.register_script(_END_TURN)

    def look_up(self, key: str, *, fresh_after: datetime, asker: str) -> StoredLookup:
        """Read the stored answer; when it is older than `fresh_after`, try to take the turn."""
        with answering():
            is_fresh, has_turn, *stored = self._look_up(
                keys=self._keys(key), args=[_us(fresh_after), asker, self._turn_lives_ms]
            )
        return StoredLookup(answer=_answer(stored), is_fresh=bool(is_fresh), has_turn=bool(has_turn))

    def read(self, key: str) -> StoredAnswer | None:
        """The stored answer, however old; nobody's turn is touched."""
        with answering():
            stored: Any = self._redis.hmget(f"{self._prefix}{key}", "at", "body", "etag", "last_modified")
        return _answer(stored)

    def asked(self, keys: Collection[str]) -> Collection[str]:
        """Those of the keys that somebody has the turn to ask for."""
        known = list(keys)
        with answering():
            turns: Any = self._redis.mget([self._keys(key)[1] for key in known])
        return {key for key, turn in zip(known, turns, strict=True) if turn is not None}

    def digests(self, keys: Sequence[str], *, fresh_after: datetime) -> Sequence[str | None]:
        """A digest of each key's stored body, empty for a 404; None for one that is older or unknown."""
        if not keys:
            return []
        with answering():
            found = self._digests(keys=[self._keys(key)[0] for key in keys], args=[_us(fresh_after)])
        return [_text(digest) for digest in found]

    def save(
        self,
        key: str,
        body: bytes | None,
        *,
        validators: tuple[str | None, str | None],
        fetched_at: datetime,
        asker: str,
    ) -> None:
        """Store an answer (None: there is no such record) and end the turn."""
        fields = {
            "at": _us(fetched_at),
            "body": zlib.compress(body, level=1) if body is not None else None,
            "digest": hashlib.blake2b(body, digest_size=16).hexdigest() if body is not None else None,
            "etag": validators[0],
            "last_modified": validators[1],
        }
        flat = [part for name, value in fields.items() if value is not None for part in (name, value)]
        with answering():
            self._save(keys=self._keys(key), args=[asker, ANSWERS_LIVE_S * 1000, *flat])

    def confirm(self, key: str, *, fetched_at: datetime, asker: str) -> None:
        """The stored answer still held at `fetched_at`; end the turn."""
        with answering():
            self._confirm(keys=self._keys(key), args=[asker, ANSWERS_LIVE_S * 1000, _us(fetched_at)])

    def abandon(self, key: str, *, asker: str) -> None:
        """End the turn without an answer."""
        with answering():
            self._end_turn(keys=self._keys(key), args=[asker])

    def _keys(self, key: str) -> list[str]:
        return [f"{self._prefix}{key}", f"{self._prefix}{key}:turn"]


def _answer(stored: list[bytes | None]) -> StoredAnswer | None:
    """From the fields of the script's answer, in its order."""
    at, body, etag, last_modified = stored or (None, None, None, None)
    if at is None:
        return None
    return StoredAnswer(
        body=zlib.decompress(body) if body is not None else None,
        fetched_at=datetime.fromtimestamp(int(at) / 1e6, UTC),
        validators=(_text(etag), _text(last_modified)),
    )


def _text(value: bytes | None) -> str | None:
    return value.decode() if value is not None else None


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
