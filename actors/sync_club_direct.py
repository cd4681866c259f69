"""Sync a club by its own id, without an account."""

from __future__ import annotations

from typing import Any

import dramatiq

from actors.requests import PerformSync, read_message, to_sync_request
from brokers.messages import SyncClubDirect

# An administrator asked, and looks again later.
_MIN_BACKOFF_S = 10
_MAX_BACKOFF_S = 300
# A club takes seconds; a provider that throttles may stretch it to minutes.
_TIME_LIMIT_S = 30 * 60


def declare(broker: dramatiq.Broker, perform_sync: PerformSync) -> None:
    @dramatiq.actor(
        broker=broker,
        actor_name=SyncClubDirect.actor_name,
        queue_name=SyncClubDirect.queue_name.value,
        broker_priority=SyncClubDirect.priority.value,
        store_results=True,
        min_backoff=round(_MIN_BACKOFF_S * 1000),
        max_backoff=round(_MAX_BACKOFF_S * 1000),
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def sync_club_direct(**fields: Any) -> str | None:
        return perform_sync(to_sync_request(read_message(SyncClubDirect, fields)))
