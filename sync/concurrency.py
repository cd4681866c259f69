"""Several units at a time, and none left over when the call ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


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
