"""Sync an association by its own id, without an account."""

from __future__ import annotations

from typing import Any

import dramatiq

from actors.requests import PerformSync, read_message, to_sync_request
from brokers.messages import SyncAssociationDirect

# An administrator asked, and looks again later.
_MIN_BACKOFF_S = 10
_MAX_BACKOFF_S = 300
# Past any quota's pace for the largest association; then it goes on from its checkpoints.
_TIME_LIMIT_S = 2 * 3600


def declare(broker: dramatiq.Broker, perform_sync: PerformSync) -> None:
    @dramatiq.actor(
        broker=broker,
        actor_name=SyncAssociationDirect.actor_name,
        queue_name=SyncAssociationDirect.queue_name.value,
        broker_priority=SyncAssociationDirect.priority.value,
        store_results=True,
        min_backoff=round(_MIN_BACKOFF_S * 1000),
        max_backoff=round(_MAX_BACKOFF_S * 1000),
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def sync_association_direct(**fields: Any) -> str | None:
        return perform_sync(to_sync_request(read_message(SyncAssociationDirect, fields)))
