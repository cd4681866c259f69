"""What the web process does beside answering: mass retries go on, and the dead letters are known."""

from __future__ import annotations

import logging
import threading
import uuid

from dramatiq.errors import BrokerError
from redis import RedisError

from brokers.dead_index import DeadIndex
from brokers.mass_retry import MassRetries
from sync.errors import SyncError

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


class Driving:
    """A thread that drives mass retries, whichever process began them."""

    def __init__(self, retries: MassRetries, dead: DeadIndex) -> None:
        self._retries = retries
        self._dead = dead
        self._name = uuid.uuid4().hex
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mass-retries", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Drive no further step; the next process goes on."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        is_known = False
        while not self._stopping.wait(LOOK_EVERY_S):
            try:
                if not is_known:
                    # A hundred thousand take seconds to read: better now than when somebody looks.
                    self._dead.refresh()
                    is_known = True
                self._retries.drive(self._name)
            except (RedisError, BrokerError, SyncError) as error:
                log.warning("mass_retries_wait", extra={"reason": str(error)})
