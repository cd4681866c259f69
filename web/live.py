"""What is going on now, for as many watchers as there are, read once for all of them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi.concurrency import run_in_threadpool

from stores.redis.progress import Progress
from stores.sql.documents import run_document
from stores.sql.runs import Runs
from sync.errors import TransientError
from sync.report import Run

READ_EVERY_S = 0.4


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
            event.stage.value: {
                "stage": event.stage.value,
                "done": event.done,
                "total": event.total,
                "records": event.records,
            }
            for event in self._progress.read(run_id).values()
        }
        return Snapshot(run_document(run), run.state.is_final, progress)


async def pause(stopping: asyncio.Event, duration_s: float) -> None:
    """Wait, but no longer than until the process drains."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stopping.wait(), duration_s)
