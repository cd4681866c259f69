"""Redis's errors in the words of this service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import redis

from sync.errors import StoreUnavailable

FULL = "Redis is full and takes nothing new: free memory, or raise maxmemory"


@contextmanager
def answering() -> Iterator[None]:
    """Raises StoreUnavailable when Redis does not answer, or not as asked."""
    try:
        yield
    except redis.OutOfMemoryError as error:
        raise StoreUnavailable(FULL) from error
    except redis.RedisError as error:
        raise StoreUnavailable(f"Redis did not answer: {error}") from error
