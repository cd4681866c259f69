"""Seals in Redis: which grades were found with nothing left to write, by organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering
from sync.grades.ports import Seal

# A little longer than a seal is believed; those of an organisation that is gone are cleaned away.
_KEPT_S = 8 * 24 * 3600


class RedisSeals:
    """Satisfies `sync.grades.ports.Seals`; a hash for each organisation, a field for each grade.

    Raises StoreUnavailable.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._prefix = f"{{{namespace}}}:seals:"

    def find(self, organisation_key: str, grade_id: str) -> Seal | None:
        with answering():
            stored: Any = self._client.hget(self._prefix + organisation_key, grade_id)
        return None if stored is None else _seal_of(stored)

    def find_all(self, organisation_key: str) -> Mapping[str, Seal]:
        """All of the organisation's by grade, whether they still hold or not."""
        with answering():
            stored: Any = self._client.hgetall(self._prefix + organisation_key)
        found = {grade_id.decode(): _seal_of(seal) for grade_id, seal in stored.items()}
        return {grade_id: seal for grade_id, seal in found.items() if seal is not None}

    def save(self, organisation_key: str, grade_id: str, seal: Seal) -> None:
        key = self._prefix + organisation_key
        with answering(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.hset(key, grade_id, msgspec.json.encode(seal))
            pipeline.expire(key, _KEPT_S)
            pipeline.execute()

    def forget(self, organisation_key: str, grade_id: str) -> None:
        with answering():
            self._client.hdel(self._prefix + organisation_key, grade_id)


def _seal_of(stored: bytes) -> Seal | None:
    """None for one of another release; then the grade is worked through and sealed anew."""
    try:
        return msgspec.json.decode(stored, type=Seal)
    except msgspec.DecodeError:
        return None
