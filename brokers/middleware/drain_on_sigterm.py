"""Ends a worker once, however often it is told to.

honcho, Heroku and dramatiq's own master all deliver a second SIGTERM to the worker, and
dramatiq takes the second one as "kill": what runs is lost to its lease. Here the first
signal starts the drain and later ones change nothing; only SIGKILL ends it sooner.
"""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

from dramatiq.broker import Broker
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from sync.errors import Stopping

HAND_OVER_S = 0.0  # another worker may take the rest at once

logger = logging.getLogger(__name__)


class DrainOnSigterm(Middleware):
    """De-duplicates SIGTERM, and tells long actors to hand over.

    It is the worker's `sync.ports.StopSignal`.
    """

    def __init__(self) -> None:
        self.is_stopping = False

    def raise_if_stopping(self) -> None:
        """Raises Stopping once this worker drains."""
        if self.is_stopping:
            raise Stopping("this worker is stopping; another one goes on", retry_after_s=HAND_OVER_S)

    def after_process_boot(self, broker: Broker) -> None:
        if threading.current_thread() is threading.main_thread():
            self._deliver_sigterm_once()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self.is_stopping = True

    def _deliver_sigterm_once(self) -> None:
        handler = signal.getsignal(signal.SIGTERM)
        if not callable(handler):
            return

        def deliver(number: int, frame: FrameType | None) -> Any:
            if self.is_stopping:
                logger.info("already_draining", extra={"signal": "SIGTERM"})
                return None
            self.is_stopping = True
            return handler(number, frame)

        signal.signal(signal.SIGTERM, deliver)
