"""Finds the stored answer to a question, and waits where somebody is asking for it already."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from providers.door import LOOKS_AT_STOP_EVERY_S, Door, Timing
from providers.ports import Answer

# Another process's asking is seen to end; this only bounds what a mistake would cost.
LOOKS_AT_LEAST_EVERY_S = 5.0
SHORTEST_SLEEP_S = 0.001


@dataclass(frozen=True, slots=True)
class Found:
    """What is stored of an answer; settled when it is fresh, or the caller's to ask for."""

    answer: Answer | None
    is_fresh: bool
    has_turn: bool = False

    @property
    def is_settled(self) -> bool:
        return self.is_fresh or self.has_turn


class StoredAnswers:
    """One run's look at the answers of one upstream."""

    def __init__(self, door: Door, timing: Timing) -> None:
        self._door = door
        self._timing = timing

    def find(self, key: str, *, fresh_after: datetime, asker: str) -> Found:
        """An answer since `fresh_after`, or the turn to ask for it under the name of `asker`.

        Waits while somebody else has the turn, here or in another process.
        """
        while True:
            awaited = self._door.asking.find(key)
            if awaited is not None:
                answer = awaited.wait()
                if answer is not None and answer.fetched_at >= fresh_after:
                    return Found(answer, is_fresh=True)
            found = self._read(key, fresh_after, asker)
            if found.is_settled:
                return found
            if self._door.asking.find(key) is None:
                return self._watch(key, fresh_after, asker)

    def _watch(self, key: str, fresh_after: datetime, asker: str) -> Found:
        """Wait for the answer that another process is asking for, and hand it to all who wait here."""
        with self._door.asking.of(key) as awaited:
            while True:
                self._wait_for_others(key)
                found = self._read(key, fresh_after, asker)
                if found.is_fresh:
                    awaited.answer = found.answer
                if found.is_settled:
                    return found

    def _wait_for_others(self, key: str) -> None:
        ends_at_s = time.monotonic() + LOOKS_AT_LEAST_EVERY_S
        while not self._door.lookout.wait(key, LOOKS_AT_STOP_EVERY_S) and time.monotonic() < ends_at_s:
            # The sleep is what a draining worker is stopped by.
            self._timing.sleep(SHORTEST_SLEEP_S)

    def _read(self, key: str, fresh_after: datetime, asker: str) -> Found:
        lookup = self._door.answers.look_up(key, fresh_after=fresh_after, asker=asker)
        return Found(lookup.answer, is_fresh=lookup.is_fresh, has_turn=lookup.has_turn)
