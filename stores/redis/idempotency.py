"""Answers to requests that may be sent twice, kept for a day by the sender's own key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering

KEPT_S = 24 * 3600
# A process that dies between claim and answer blocks its key no longer than this.
CLAIMED_S = 60


class KeyBusy(Exception):
    """Another request with this key is being answered now."""


class KeyReused(Exception):
    """The key was used for a different request."""


class _Entry(msgspec.Struct):
    fingerprint: str
    answer: dict[str, Any] | None = None


class Answers:
    """All methods raise StoreUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:idempotency:"

    def claim(self, key: str, fingerprint: str) -> Mapping[str, Any] | None:
        """None when the key is now ours to answer, else the answer that was kept.

        Raises KeyBusy and KeyReused.
        """
        entry = msgspec.json.encode(_Entry(fingerprint))
        with answering():
            earlier = self._client.set(self._prefix + key, entry, nx=True, get=True, ex=CLAIMED_S)
        if earlier is None:
            return None
        found = msgspec.json.decode(earlier, type=_Entry)  # type: ignore[arg-type]  # bytes: replies are not decoded
        if found.fingerprint != fingerprint:
            raise KeyReused
        if found.answer is None:
            raise KeyBusy
        return found.answer

    def keep(self, key: str, fingerprint: str, answer: Mapping[str, Any]) -> None:
        """Remember the answer for a day."""
        entry = msgspec.json.encode(_Entry(fingerprint, dict(answer)))
        with answering():
            self._client.set(self._prefix + key, entry, ex=KEPT_S)

    def release(self, key: str) -> None:
        """Give the key back after a request that was refused."""
        with answering():
            self._client.delete(self._prefix + key)
