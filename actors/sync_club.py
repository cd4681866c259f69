"""Bring a club's account in step with the provider."""

from __future__ import annotations

from typing import Any

import dramatiq

from actors.requests import PerformSync, read_message, to_sync_request
from brokers.messages import SyncClub

# Mostly the nightly batch: nobody waits, so a provider's outage may pass in the meantime.
_MIN_BACKOFF_S = 10
_MAX_BACKOFF_S = 300
# A club takes seconds; a provider that throttles may stretch it to minutes.
_TIME_LIMIT_S = 30 * 60


def declare(broker: dramatiq.Broker, perform_sync: PerformSync) -> None:
    @dramatiq.actor(
        broker=broker,
        actor_name=SyncClub.actor_name,
        queue_name=SyncClub.queue_name.value,
        broker_priority=SyncClub.priority.value,
        store_results=True,
        min_backoff=round(_MIN_BACKOFF_S * 1000),
        max_backoff=round(_MAX_BACKOFF_S * 1000),
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def sync_club(**fields: Any) -> str | None:
        return perform_sync(to_sync_request(read_message(SyncClub, fields)))
