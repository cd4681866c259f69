"""Which answers this process is asking for, so that whoever else waits for one here is woken by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event

# Whoever asks always ends; this only bounds what a mistake would cost.
_LOOKS_AT_LEAST_EVERY_S = 1.0


class Asking:
    """The keys of stored answers that are being asked for, one asker a key."""

    def __init__(self) -> None:
        self._ended: dict[str, Event] = {}

    @contextmanager
    def of(self, key: str) -> Iterator[None]:
        """For the length of the block, the answer of `key` is being asked for here."""
        ended = self._ended[key] = Event()
        try:
            yield
        finally:
            if self._ended.get(key) is ended:
                del self._ended[key]
            ended.set()

    def wait(self, key: str, wait_s: float, sleep: Callable[[float], None]) -> None:
        """Return when the asker here is done; of one elsewhere nothing is heard, so `sleep` for `wait_s`."""
        ended = self._ended.get(key)
        if ended is None:
            sleep(wait_s)
        else:
            ended.wait(_LOOKS_AT_LEAST_EVERY_S)
