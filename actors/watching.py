"""Watches in the scheduler's place while none leads: there as long as the worker is."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from sync.errors import SyncError

log = logging.getLogger(__name__)

# Now and then, so that the leader mostly is the first of its interval.
TRIES_EVERY = 1.5


@dataclass(slots=True)
class Watching(Middleware):
    """`turn` looks unless another process has in this interval; `every_s` is how long that is now."""

    turn: Callable[[], object]
    every_s: Callable[[], float]
    stopping: threading.Event = field(default_factory=threading.Event)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.stopping.set()

    def _run(self) -> None:
        while not self.stopping.wait(TRIES_EVERY * self.every_s()):
            try:
                self.turn()
            except SyncError as error:
                log.warning("watch_failed", extra={"reason": str(error)})
