"""What a worker does now and then beside its messages, for as long as it is there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from sync.errors import SyncError

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Rounds(Middleware):
    """Goes round every `every_s()` seconds; a round that fails is logged, and the next one comes."""

    name: str
    go: Callable[[], object]
    every_s: Callable[[], float]
    _stopped: threading.Event = field(default_factory=threading.Event)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        threading.Thread(target=self._run, name=self.name, daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self.every_s()):
            try:
                self.go()
            except SyncError as error:
                log.warning("round_failed", extra={"round": self.name, "reason": str(error)})
