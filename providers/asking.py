"""Which answers this process waits for, so that one here asks or looks and all others here hear of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

from providers.ports import Answer
from sync.concurrency import wait_until_set

# Whoever sees to an answer always ends; this only bounds what a mistake would cost.
_LOOKS_AT_LEAST_EVERY_S = 5.0


class Awaited:
    """An answer that somebody here asks the provider for, or watches another process ask for."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self._has_ended = Event()

    def wait(self) -> Answer | None:
        """What came of it, once it has ended; None when that must be looked up."""
        wait_until_set(self._has_ended, _LOOKS_AT_LEAST_EVERY_S)
        return self.answer

    def end(self) -> None:
        self._has_ended.set()


class Asking:
    """The keys of stored answers that are awaited, by one greenlet a key for all others here."""

    def __init__(self) -> None:
        self._awaited: dict[str, Awaited] = {}

    @contextmanager
    def of(self, key: str) -> Iterator[Awaited]:
        """For the length of the block, the caller sees to the answer of `key`; others wait for it."""
        awaited = self._awaited[key] = Awaited()
        try:
            yield awaited
        finally:
            if self._awaited.get(key) is awaited:
                del self._awaited[key]
            awaited.end()

    def find(self, key: str) -> Awaited | None:
        """The answer of `key` if somebody here sees to it already."""
        return self._awaited.get(key)
