"""Several units at a time, and none left over when the call ends; and waiting for one another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def wait_until_set(event: Event, timeout_s: float) -> bool:
    """As `event.wait`, which under gevent may last for ever on an event that is set already.

    There whoever comes between `set` and the waking of those who waited queues behind them, without
    a time limit, and is forgotten when the last of these has given up in that moment (gevent 26.9).
    """
    return event.is_set() or event.wait(timeout_s)


@dataclass(frozen=True, slots=True)
class InThreads:
    """Satisfies `sync.ports.MapConcurrently` with threads, which gevent makes greenlets."""

    limit: int

    def __call__(self, work: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        units = list(items)
        if len(units) == 1:
            # Most often one association, season or page: not worth a thread.
            yield copy_context().run(work, units[0])
            return
        with ThreadPoolExecutor(self.limit) as pool:
            # Each in a copy of the caller's context: log lines keep the run they belong to.
            futures = [pool.submit(copy_context().run, work, unit) for unit in units]
            try:
                for future in futures:
                    yield future.result()
            finally:
                for future in futures:
                    future.cancel()
