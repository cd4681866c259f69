"""Fill a new account for the first time; the customer may enter when it is complete."""

from __future__ import annotations

from typing import Any

import dramatiq

from actors.requests import PerformSync, read_message, to_sync_request
from brokers.messages import OnboardAccount

# A customer waits to enter: soon again, or soon an answer.
_MIN_BACKOFF_S = 2
_MAX_BACKOFF_S = 30
# Past any quota's pace for the largest association; then it goes on from its checkpoints.
_TIME_LIMIT_S = 2 * 3600


def declare(broker: dramatiq.Broker, perform_sync: PerformSync) -> None:
    @dramatiq.actor(
        broker=broker,
        actor_name=OnboardAccount.actor_name,
        queue_name=OnboardAccount.queue_name.value,
        broker_priority=OnboardAccount.priority.value,
        store_results=True,
        min_backoff=round(_MIN_BACKOFF_S * 1000),
        max_backoff=round(_MAX_BACKOFF_S * 1000),
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def onboard_account(**fields: Any) -> str | None:
        return perform_sync(to_sync_request(read_message(OnboardAccount, fields)))
