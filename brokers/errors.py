"""What a sender is told when Redis did not take its call."""

from __future__ import annotations

import redis
from dramatiq.errors import BrokerError, ConnectionClosed

from brokers.connection import CONNECTION_ERRORS


class BrokerFull(BrokerError):
    """Redis has reached maxmemory: the message was not enqueued. Leased ones still settle."""

    def __init__(self) -> None:
        super().__init__(  # type: ignore[no-untyped-call] # dramatiq leaves its errors untyped
            "Redis is at maxmemory; the message was not enqueued. Free memory or raise maxmemory."
        )


class BrokerUnavailable(ConnectionClosed, redis.ConnectionError):
    """Redis did not answer; dramatiq's workers know it as the one, redis-py's users as the other."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))  # type: ignore[no-untyped-call] # dramatiq leaves its errors untyped


# What redis-py and the socket raise when a call was refused, or its answer did not come.
UNTAKEN: tuple[type[Exception], ...] = (*CONNECTION_ERRORS, redis.exceptions.OutOfMemoryError)


def translate(error: Exception) -> Exception:
    """One of UNTAKEN as a broker's error."""
    is_full = isinstance(error, redis.exceptions.OutOfMemoryError)
    return BrokerFull() if is_full else BrokerUnavailable(error)
