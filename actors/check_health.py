"""A round trip through queue and worker: proves that messages are carried out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import dramatiq

from actors.requests import read_message
from brokers.messages import CheckHealth

NoteRoundTrip = Callable[[datetime | None], object]

_TIME_LIMIT_S = 10


def declare(broker: dramatiq.Broker, note_round_trip: NoteRoundTrip) -> None:
    """`note_round_trip(requested_at)` remembers when it ran. No retry: the next check follows soon."""

    @dramatiq.actor(
        broker=broker,
        actor_name=CheckHealth.actor_name,
        queue_name=CheckHealth.queue_name.value,
        broker_priority=CheckHealth.priority.value,
        max_retries=0,
        time_limit=round(_TIME_LIMIT_S * 1000),
    )
    def check_health(**fields: Any) -> None:
        note_round_trip(read_message(CheckHealth, fields).requested_at)
