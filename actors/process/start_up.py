"""What a starting worker waits for, one after the other, said on the console and in the registry."""

from __future__ import annotations

import logging
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sync.errors import ConfigurationError, SyncError

log = logging.getLogger(__name__)

RUNNING = "running"
ASK_EVERY_S = 1.0
SAY_EVERY_S = 10.0


@dataclass(slots=True)
class StartUp:
    """`state` is what the registry shows of the process."""

    state: str = "starting"
    sleep: Callable[[float], None] = time.sleep
    now_s: Callable[[], float] = time.monotonic

    def wait_for(self, name: str, ask: Callable[[], object]) -> None:
        """Ask until there is an answer; the first refusal is said at once, then one every ten seconds.

        A SIGTERM meanwhile ends the process with 0: it holds nothing yet that could be handed back.
        """
        with _ended_by_sigterm():
            self._wait_for(name, ask)

    def is_done(self) -> None:
        self.state = RUNNING
        log.info("worker_ready")

    def _wait_for(self, name: str, ask: Callable[[], object]) -> None:
        began_s = self.now_s()
        said_at_s = float("-inf")
        while True:
            try:
                ask()
            except (SyncError, ConfigurationError) as error:
                self.state = f"waiting for {name}"
                waited_s = self.now_s() - began_s
                if self.now_s() - said_at_s >= SAY_EVERY_S:
                    said_at_s = self.now_s()
                    fields = {"dependency": name, "waited_s": round(waited_s), "reason": str(error)}
                    log.warning("waiting_for_dependency", extra=fields)
                self.sleep(ASK_EVERY_S)
            else:
                waited_s = self.now_s() - began_s
                log.info("dependency_answers", extra={"dependency": name, "waited_s": round(waited_s)})
                return


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    # dramatiq's own handler takes note of it, and looks once the worker has started.
    before = signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
