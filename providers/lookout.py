"""Sees when other processes end asking: one look at a time, for all the answers awaited here."""

from __future__ import annotations

import threading
import time

from providers.ports import Answers
from sync.concurrency import wait_until_set
from sync.errors import StoreUnavailable

# A night's runs wait for seconds, most of it for the quota; a person hardly notices.
LOOKS_EVERY_S = 0.05


class Lookout:
    """Costs Redis the same however many answers are awaited, and nothing while none is."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._awaited: dict[str, threading.Event] = {}
        self._lock = threading.Lock()
        self._is_looking = False

    def wait(self, key: str, timeout_s: float) -> bool:
        """Wait until nobody asks for the answer of `key`, or it cannot be told; False after the time."""
        with self._lock:
            has_ended = self._awaited.setdefault(key, threading.Event())
            if not self._is_looking:
                self._is_looking = True
                threading.Thread(target=self._look, name="lookout", daemon=True).start()
        return wait_until_set(has_ended, timeout_s)

    def _look(self) -> None:
        while keys := self._keys():
            time.sleep(LOOKS_EVERY_S)
            try:
                asked = self._answers.asked(keys)
            except StoreUnavailable:
                # Whoever waits asks itself, and meets it there.
                asked = ()
            for key in set(keys).difference(asked):
                with self._lock:
                    has_ended = self._awaited.pop(key)
                has_ended.set()

    def _keys(self) -> list[str]:
        with self._lock:
            self._is_looking = bool(self._awaited)
            return list(self._awaited)
