"""The heartbeat of a worker process, in a native thread that a busy gevent loop cannot stop."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from brokers.connection import REDIS_ERRORS
from brokers.process import Process

BEAT_S = 2.0
# A loop that has not turned for so long is taken for hung: its messages go to other workers.
HUNG_AFTER_S = 120.0
# A Redis that hangs must not keep a worker from ending.
LAST_BEAT_S = 2.0
LOOK_S = 0.01


class Heartbeat:
    """Beats until closed, or until the process's loop hangs; recovers what dead processes held."""

    def __init__(
        self, process: Process, *, beat_s: float = BEAT_S, hung_after_s: float = HUNG_AFTER_S
    ) -> None:
        self._process = process
        self._beat_s = beat_s
        self.hung_after_s = hung_after_s
        self._alive_at = time.monotonic()
        self._bell, self._ring = os.pipe()
        self._has_ended = False
        self.is_quiet = False
        self.lost_leases = 0
        self.trouble = ""

    def start(self) -> None:
        """Beat once, so that the leases are known before the first message is lent, then go on."""
        self._beat_once()
        self._process.end_beats()
        _start_native_thread(self._run)

    def loop_is_alive(self) -> None:
        """Called by the process's loop on each turn."""
        self._alive_at = time.monotonic()

    def close(self) -> None:
        """End the beats; a beat in flight ends first, or it would register a process that has left."""
        os.write(self._ring, b".")
        end_s = time.monotonic() + LAST_BEAT_S
        while not self._has_ended and time.monotonic() < end_s:
            time.sleep(LOOK_S)

    def _run(self) -> None:
        select = _original("select", "select")
        while not select([self._bell], [], [], self._beat_s)[0]:
            if time.monotonic() - self._alive_at < self.hung_after_s:
                self._beat_once()
        self._process.end_beats()
        self._has_ended = True
        os.close(self._bell)
        os.close(self._ring)

    def _beat_once(self) -> None:
        try:
            orders = self._process.beat()
            self._process.recover_others()
        except REDIS_ERRORS as error:
            # The next beat may find Redis again; until then the lease runs on. Logging is left to
            # the loop: its locks are gevent's, this thread is not.
            self.trouble = str(error)
            return
        self.trouble = ""
        self.is_quiet = orders.is_quiet
        if orders.is_new:
            self.lost_leases += 1
        if orders.must_stop:
            os.kill(os.getpid(), signal.SIGTERM)


def _original(module: str, name: str) -> Any:
    """The function as it was before gevent patched it, if it did."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is None:
        return getattr(__import__(module), name)
    return monkey.get_original(module, name)


def _start_native_thread(function: Callable[[], None]) -> None:
    if "gevent.monkey" in sys.modules:
        _original("_thread", "start_new_thread")(function, ())
    else:
        threading.Thread(target=function, name="clubsync-heartbeat", daemon=True).start()
