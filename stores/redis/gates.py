"""What may hold a sync up, read without touching it: leases and breakers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import redis

from stores.redis.errors import answering
from stores.redis.quotas import QuotaState, read_quotas


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Who holds a lease (a run's id), and for how long unless it renews it."""

    owner: str
    left_s: float


class Gates:
    """All methods raise StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._namespace = namespace
        self._prefix = f"{{{namespace}}}"

    def lease(self, key: str) -> Held | None:
        """The holder of the lease of `provider:organisation_id`."""
        name = f"{self._prefix}:lease:{key}"
        with answering(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.hget(name, "owner")
            pipeline.pttl(name)
            owner, left_ms = pipeline.execute()
        return None if owner is None else Held(owner=owner.decode(), left_s=max(left_ms, 0) / 1000)

    def quotas(self) -> list[QuotaState]:
        """Every provider key that was ever used, and what it does now."""
        return read_quotas(self._client, self._namespace)

    def breaker_open_s(self, host: str) -> float:
        """How long until the next probe of a host that does not answer; 0 when it is not broken."""
        with answering(), self._client.pipeline(transaction=False) as pipeline:
            pipeline.hget(f"{self._prefix}:breaker:{host}", "open_until")
            pipeline.time()
            until_us, (now_s, now_us) = pipeline.execute()
        left_us: Any = int(until_us or 0) - (now_s * 1_000_000 + now_us)
        return max(0.0, float(left_us) / 1e6)
