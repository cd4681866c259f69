"""A worker's round with the outbox: what waited for the CMS is brought to it when it is back."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field

from dramatiq import Broker, Worker
from dramatiq.middleware import Middleware

from sync.delivery import Delivery
from sync.errors import CmsUnavailable, SyncError

log = logging.getLogger(__name__)

# Looking costs one small question to the database while nothing waits.
_EVERY_S = 10.0


@dataclass(slots=True)
class Deliveries(Middleware):
    """Every worker looks; of several one delivers. `owner` names this process."""

    delivery: Delivery
    owner: str
    every_s: float = _EVERY_S
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        self._thread = threading.Thread(target=self._go_round, name="deliveries", daemon=True)
        self._thread.start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stopped.set()

    def _go_round(self) -> None:
        while not self._stopped.wait(self.every_s):
            try:
                self.delivery.deliver(owner=self.owner)
            except CmsUnavailable as error:
                log.info("cms_still_away", extra={"reason": str(error)})
            except SyncError as error:
                log.warning("delivery_failed", extra={"reason": str(error)})
