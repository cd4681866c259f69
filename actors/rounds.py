"""What a worker does now and then beside its messages, for as long as it is there."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from sync.errors import SyncError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Round:
    """Something to do every `every_s()` seconds."""

    name: str
    go: Callable[[], object]
    every_s: Callable[[], float]


@dataclass(slots=True)
class Rounds(Middleware):
    """Goes all rounds, each in a thread of its own; one that fails is logged, and the next one comes."""

    rounds: Sequence[Round]
    _stopped: threading.Event = field(default_factory=threading.Event)

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        for one in self.rounds:
            threading.Thread(target=self._run, args=[one], name=one.name, daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stopped.set()

    def _run(self, one: Round) -> None:
        while not self._stopped.wait(one.every_s()):
            try:
                one.go()
            except SyncError as error:
                log.warning("round_failed", extra={"round": one.name, "reason": str(error)})
