"""Refresh an account on demand; the customer sees that it is updating."""

from __future__ import annotations

from typing import Any

import dramatiq

from actors.requests import PerformSync, read_message, to_sync_request
from brokers.messages import UpdateAccount

# A customer watches: soon again, or soon an answer.
_MIN_BACKOFF_S = 2
_MAX_BACKOFF_S = 30
# An account takes seconds; a provider that throttles may stretch it to minutes.
_TIME_LIMIT_S = 30 * 60


def declare(broker: dramatiq.Broker, perform_sync: PerformSync) -> None:
    @dramatiq.actor(
        broker=broker,
        actor_name=UpdateAccount.actor_name,
        queue_name=UpdateAccount.queue_name.value,
        broker_priority=UpdateAccount.priority.value,
        store_results=True,
        min_backoff=round(_MIN_BACKOFF_S * 1000),
        max_backoff=round(_MAX_BACKOFF_S * 1000),
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def update_account(**fields: Any) -> str | None:
        return perform_sync(to_sync_request(read_message(UpdateAccount, fields)))
