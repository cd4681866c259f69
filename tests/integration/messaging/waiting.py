"""Looks into Redis: which messages wait in a queue."""

from __future__ import annotations

from typing import Any

import dramatiq

from brokers import envelope
from brokers.redis import PriorityRedisBroker


def list_waiting(broker: PriorityRedisBroker, queue: str) -> list[dramatiq.Message[Any]]:
    """Most urgent first; delayed ones are left out."""
    client: Any = broker.client
    ids = [
        id_ for level in range(4) for id_ in client.zrange(f"{broker.key}:q:{queue}:waiting:{level}", 0, -1)
    ]
    fields = [f"{queue}/{id_.decode()}" for id_ in ids]
    values = client.hmget(f"{broker.key}:values", fields) if ids else []
    return [dramatiq.Message.decode(envelope.unpack(value)[1]) for value in values]
