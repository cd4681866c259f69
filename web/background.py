"""What the web process does beside answering: mass retries go on, and the charts are kept."""

from __future__ import annotations

import logging
import threading
import uuid

from dramatiq.errors import BrokerError
from redis import RedisError

from brokers.dead_index import DeadIndex
from brokers.mass_retry import MassRetries
from sync.errors import SyncError
from web.recording import Recorder

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0


class Background:
    """A thread that drives mass retries, whichever process began them, and records for the charts."""

    def __init__(self, retries: MassRetries, dead: DeadIndex, recorder: Recorder) -> None:
        self._recorder = recorder
        self._retries = retries
        self._dead = dead
        self._name = uuid.uuid4().hex
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

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
                self._recorder.record()
            except (RedisError, BrokerError, SyncError) as error:
                log.warning("background_work_waits", extra={"reason": str(error)})
