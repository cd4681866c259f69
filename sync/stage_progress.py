"""How far a stage is, for whoever watches."""

from __future__ import annotations

from datetime import datetime, timedelta
from threading import Lock

from sync.context import Context
from sync.ports import Progressed
from sync.report import Stage

_TOLD_EVERY = timedelta(seconds=0.1)


class StageProgress:
    """Counts units; several of them may end at the same time."""

    def __init__(self, context: Context, stage: Stage, started_at: datetime) -> None:
        self._context = context
        self._stage = stage
        self._started_at = started_at
        # Units that this attempt found done, and the most that were told of.
        self._done_before = self._furthest = 0
        self._told_at = started_at - _TOLD_EVERY
        self._lock = Lock()

    def begin(self, done_before: int) -> None:
        """Begin from none, or, where nothing was told yet, from the units that were done before."""
        if not done_before or not self._furthest:
            self._done_before = self._furthest = done_before

    def tell(self, done: int, total: int, *, records: int) -> None:
        """Publish it some times a second at most; what is not further than before is no news."""
        now = self._context.clock.now()
        with self._lock:
            if done <= self._furthest:
                return
            self._furthest = done
            if done < total and now - self._told_at < _TOLD_EVERY:
                return
            self._told_at = now
        self._context.progress.publish(
            Progressed(
                run_id=self._context.run_id,
                stage=self._stage,
                done=done,
                total=total,
                records=records,
                eta_s=self._eta_s(done, total),
            )
        )

    def _eta_s(self, done: int, total: int) -> float | None:
        done_here = done - self._done_before
        if done_here <= 0:
            return None
        for_s = (self._context.clock.now() - self._started_at).total_seconds()
        return round(for_s / done_here * (total - done), 1)
