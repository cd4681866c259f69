"""Where this process's requests to one upstream queue for the shared quota."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from providers.ports import Ledger
from sync.concurrency import wait_until_set
from sync.errors import RateLimited

# A request that left this much after its turn says so at once, others when they give their place back.
LATE_AFTER_S = 0.02
# Under gevent each question takes a turn of the hub, which a busy process gives seldom: one
# asker at a time would leave much of a quota of fifty a second unused, a crowd would cost Redis.
ASKERS = 4
# A longer queue is better spent on other work; below the 30 s that a run's lease lives.
QUEUES_FOR_S = 20.0


class Passage:
    """A request's turn; a busy process uses it a while after it was given."""

    def __init__(self, ledger: Ledger, place: str, given_at_s: float) -> None:
        self._ledger = ledger
        self._place = place
        self._given_at_s = given_at_s
        self._told_s = 0.0
        self._late_s = 0.0

    def leave(self) -> None:
        """The request goes out now; called again, it has gone out only now."""
        self._late_s = time.monotonic() - self._given_at_s
        if self._late_s - self._told_s > LATE_AFTER_S:
            self._ledger.left_late(self._place, late_s=self._late_s - self._told_s)
            self._told_s = self._late_s

    def end(self) -> None:
        """Give the place back, with what was not told yet of how late the request was."""
        self._ledger.release(self._place, late_s=self._late_s - self._told_s)


class Turnstile:
    """Lets a few waiting requests of each urgency ask the ledger, the others queue behind them.

    So a crowd of greenlets costs Redis little more than one, and a place that is given back
    in this process wakes the next one at once.
    """

    def __init__(
        self, ledger: Ledger, *, max_pause_s: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._ledger = ledger
        self._max_pause_s = max_pause_s
        self._sleep = sleep
        self._fronts = {is_urgent: threading.BoundedSemaphore(ASKERS) for is_urgent in (True, False)}
        self._freed = threading.Event()

    @contextmanager
    def pass_through(self, operation: str, *, is_urgent: bool) -> Iterator[Passage]:
        """Wait for a turn, then hold a place for the length of the block.

        Raises RateLimited when the wait would be too long.
        """
        place = uuid.uuid4().hex
        passage = Passage(self._ledger, place, self._queue_up(place, operation, is_urgent=is_urgent))
        try:
            yield passage
        finally:
            passage.end()
            self._freed.set()

    def _queue_up(self, place: str, operation: str, *, is_urgent: bool) -> float:
        """Answers when it was asked for the turn that it got; the turn itself came a little later."""
        started_s = time.monotonic()
        front = self._fronts[is_urgent]
        if not front.acquire(timeout=QUEUES_FOR_S):
            raise _used_up(operation)
        try:
            while True:
                self._freed.clear()
                asked_s = time.monotonic()
                admission = self._ledger.admit(place, is_urgent=is_urgent)
                if admission.is_admitted:
                    return asked_s
                waits_until_s = time.monotonic() - started_s + admission.wait_s
                if admission.reason == "pause" and waits_until_s > self._max_pause_s:
                    raise _paused(operation, admission.wait_s)
                if waits_until_s > QUEUES_FOR_S:
                    raise _used_up(operation)
                if admission.reason == "concurrency":
                    wait_until_set(self._freed, admission.wait_s)
                else:
                    self._sleep(admission.wait_s)
        finally:
            front.release()


def _paused(operation: str, wait_s: float) -> RateLimited:
    return RateLimited(
        f"{operation}: the provider asked for a pause of {wait_s:.0f} s more", retry_after_s=wait_s
    )


def _used_up(operation: str) -> RateLimited:
    # Not all of a crowd should come back at the same moment.
    retry_after_s = QUEUES_FOR_S * random.uniform(0.5, 1.5)  # noqa: S311 - spreads load, guards nothing
    return RateLimited(f"{operation}: the quota of the provider is used up", retry_after_s=retry_after_s)
