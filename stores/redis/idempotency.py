"""Answers to requests that may be sent twice, kept for a day by the sender's own key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


Claim = Mapping[str, Any] | KeyBusy | KeyReused | None


class _Entry(msgspec.Struct):
    fingerprint: str
    answer: dict[str, Any] | None = None


class Answers:
    """All methods raise StoreUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:idempotency:"

    def claim(self, keys: Sequence[tuple[str, str]]) -> list[Claim]:
        """Claim keys, each with the fingerprint of its request: None when it is now ours to answer.

        Else the answer that was kept, or KeyBusy or KeyReused.
        """
        entries = [
            (self._prefix + key, msgspec.json.encode(_Entry(fingerprint))) for key, fingerprint in keys
        ]
        with answering(), self._client.pipeline(transaction=False) as pipe:
            for key, entry in entries:
                pipe.set(key, entry, nx=True, get=True, ex=CLAIMED_S)
            earlier = pipe.execute()
        return [_judge(found, fingerprint) for found, (_, fingerprint) in zip(earlier, keys, strict=True)]

    def keep(self, answers: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Remember answers, each under its key and fingerprint, for a day."""
        with answering(), self._client.pipeline(transaction=False) as pipe:
            for key, fingerprint, answer in answers:
                entry = msgspec.json.encode(_Entry(fingerprint, dict(answer)))
                pipe.set(self._prefix + key, entry, ex=KEPT_S)
            pipe.execute()

    def release(self, keys: Sequence[str]) -> None:
        """Give keys back after requests that were refused."""
        with answering():
            self._client.delete(*(self._prefix + key for key in keys))


def _judge(earlier: bytes | None, fingerprint: str) -> Claim:
    if earlier is None:
        return None
    found = msgspec.json.decode(earlier, type=_Entry)
    if found.fingerprint != fingerprint:
        return KeyReused()
    return KeyBusy() if found.answer is None else found.answer
