"""What is going on now, for as many watchers as there are, read once for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from fastapi.concurrency import run_in_threadpool
from redis import RedisError

from stores.redis.progress import Progress
from stores.sql.documents import progress_document, run_document
from stores.sql.runs import Runs
from sync.errors import TransientError
from sync.report import Run

READ_EVERY_S = 0.4
# Proxies end a connection on which nothing is said for half a minute or so.
SILENT_FOR_AT_MOST_S = 15.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run and how far its stages are, as JSON takes it."""

    run: dict[str, Any]
    is_final: bool
    progress: dict[str, dict[str, Any]]


class LiveRuns:
    """Follows runs; all watchers of one run share one reading of it."""

    def __init__(self, runs: Runs, progress: Progress, stopping: asyncio.Event) -> None:
        self._runs = runs
        self._progress = progress
        self._stopping = stopping
        self._readings: dict[str, asyncio.Task[Snapshot]] = {}

    async def follow(self, run_id: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Events of the run until it has ended or the process drains.

        Answers pairs of `run`, `progress` or `end` and their payload. Raises NotFound.
        """
        shown = Snapshot(run={}, is_final=False, progress={})
        while not self._stopping.is_set():
            try:
                seen = await self._read(run_id)
            except TransientError:
                # A store that restarts costs the watchers a moment, not their stream.
                await pause(self._stopping, READ_EVERY_S)
                continue
            for stage, payload in seen.progress.items():
                if payload != shown.progress.get(stage):
                    yield "progress", payload
            if seen.is_final:
                yield "end", seen.run
                return
            if seen.run != shown.run:
                yield "run", seen.run
            shown = seen
            await pause(self._stopping, READ_EVERY_S)

    async def _read(self, run_id: str) -> Snapshot:
        if (reading := self._readings.get(run_id)) is None:
            reading = asyncio.create_task(run_in_threadpool(self._read_now, run_id))
            self._readings[run_id] = reading
            # Shared until shortly before its watchers ask again.
            asyncio.get_running_loop().call_later(READ_EVERY_S * 0.8, self._readings.pop, run_id, None)
        return await asyncio.shield(reading)

    def _read_now(self, run_id: str) -> Snapshot:
        run: Run = self._runs.find(run_id)
        progress = {
            event.stage.value: progress_document(event) for event in self._progress.read(run_id).values()
        }
        return Snapshot(run_document(run), run.state.is_final, progress)


class Pulse:
    """Tells any number of watchers that something has changed; read once for all of them.

    A watcher holds nothing but the number of the last change it was told, so a slow one misses
    the changes in between and costs no memory. Nothing is read while nobody watches.
    """

    def __init__(self, read: Callable[[], str], stopping: asyncio.Event) -> None:
        self._read = read
        self._stopping = stopping
        self._number = 0
        self._changed = asyncio.Event()
        self._watchers = 0
        self._beating: asyncio.Task[None] | None = None

    async def follow(self) -> AsyncIterator[int | None]:
        """The number of each change; None at least every fifteen seconds, until the process drains."""
        self._watchers += 1
        if self._beating is None:
            self._beating = asyncio.create_task(self._beat())
        try:
            told = self._number
            yield told
            while not self._stopping.is_set():
                changed = self._changed
                if self._number == told:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(changed.wait(), SILENT_FOR_AT_MOST_S)
                if self._stopping.is_set():
                    return
                yield None if self._number == told else self._number
                told = self._number
        finally:
            self._watchers -= 1

    async def _beat(self) -> None:
        seen: str | None = None
        try:
            while self._watchers and not self._stopping.is_set():
                with contextlib.suppress(RedisError, TransientError):
                    # A server that restarts costs the watchers a moment, not their stream.
                    now = await run_in_threadpool(self._read)
                    if now != seen:
                        seen = now
                        self._tell()
                await pause(self._stopping, READ_EVERY_S)
        finally:
            self._beating = None
            self._tell()

    def _tell(self) -> None:
        self._number += 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Shared(Generic[T]):
    """What is read at most every so often, however many ask for it at the same time."""

    def __init__(self, read: Callable[[], T], *, lasts_s: float) -> None:
        self._read = read
        self._lasts_s = lasts_s
        self._reading: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Raises what reading raises."""
        if self._reading is None:
            self._reading = asyncio.create_task(run_in_threadpool(self._read))
            asyncio.get_running_loop().call_later(self._lasts_s, self._forget, self._reading)
        return await asyncio.shield(self._reading)

    def _forget(self, reading: asyncio.Task[T]) -> None:
        if self._reading is reading:
            self._reading = None


async def pause(stopping: asyncio.Event, duration_s: float) -> None:
    """Wait, but no longer than until the process drains."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), duration_s)
