"""Lets messages die, and settles what waits, without a worker's threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dramatiq import Message

from brokers.redis import PriorityRedisBroker

QUEUE = "syncs"


def send(broker: PriorityRedisBroker, **kwargs: Any) -> str:
    message: Message[Any] = Message(
        queue_name=QUEUE, actor_name=kwargs.pop("actor", "sync_club"), args=(), kwargs=kwargs, options={}
    )
    return str(broker.enqueue(message).message_id)


def settle(broker: PriorityRedisBroker, error_of: Callable[[Any], str | None]) -> int:
    """Carry out everything that waits: each dies of the error it is given, or is done; how many."""
    consumer = broker.consume(QUEUE, prefetch=50, timeout=100)
    count = 0
    try:
        while (message := next(consumer)) is not None:
            count += 1
            error = error_of(message)
            if error is None:
                consumer.ack(message)
            else:
                message.stuff_exception(RuntimeError(error))
                consumer.nack(message)
    finally:
        consumer.close()
    return count


def kill(broker: PriorityRedisBroker, error: str = "the provider answered 503", **kwargs: Any) -> str:
    """Send a message and let it die; its id."""
    message_id = send(broker, **kwargs)
    settle(broker, lambda _message: error)
    return message_id
