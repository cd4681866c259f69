"""Tell one channel about one event; best effort, so that a broken channel holds up no sync."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dramatiq

from actors.requests import read_message
from brokers.messages import SendNotification

Deliver = Callable[[str, str, str | None], object]

# A chat that is down for minutes still hears of the run; then the news is old.
_ATTEMPTS = 5
_MIN_BACKOFF_S = 5
_MAX_BACKOFF_S = 120
_TIME_LIMIT_S = 60


def declare(broker: dramatiq.Broker, deliver: Deliver) -> None:
    """`deliver(event, channel, run_id)` tells the channel what waits, or raises an error of `sync.errors`."""

    @dramatiq.actor(
        broker=broker,
        actor_name=SendNotification.actor_name,
        queue_name=SendNotification.queue_name.value,
        broker_priority=SendNotification.priority.value,
        max_retries=_ATTEMPTS - 1,
        min_backoff=round(_MIN_BACKOFF_S * 1000),
        max_backoff=round(_MAX_BACKOFF_S * 1000),
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def send_notification(**fields: Any) -> None:
        message = read_message(SendNotification, fields)
        deliver(message.event, message.channel, message.run_id)
