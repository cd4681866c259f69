"""Tells the end of messages that died with their workers.

A message whose worker died too often is buried by whichever process recovers it, where no
hook of ours runs. Redis keeps its id in a list; one worker takes it from there and tells
`on_dead`, so that its run does not stay "running" for ever.
"""

from __future__ import annotations

import logging
import threading
from typing import cast

import redis
from dramatiq.broker import Broker, MessageProxy
from dramatiq.errors import BrokerError
from dramatiq.middleware import Middleware
from dramatiq.worker import Worker

from brokers.dead_letters import DeadLetters
from brokers.middleware.error_aware_retries import OnDead
from brokers.redis import PriorityRedisBroker
from sync.errors import PermanentError, TransientError

BLOCK_S = 4  # below the clients' socket timeout; costs an idle worker a command in four seconds
OUTAGE_PAUSE_S = 1.0

logger = logging.getLogger(__name__)


class TellPoisoned(Middleware):
    """Each end is told at least once; `on_dead` may hear of one again after a crash."""

    def __init__(self, client: redis.Redis, *, namespace: str, on_dead: OnDead) -> None:
        self._client = client
        self._untold = f"{{{namespace}}}:untold"
        self._telling = f"{{{namespace}}}:telling"
        self._on_dead = on_dead
        self._stopping = threading.Event()

    def after_worker_boot(self, broker: Broker, worker: Worker) -> None:
        letters = DeadLetters(cast("PriorityRedisBroker", broker))
        threading.Thread(target=self._run, args=[letters], name="tell-poisoned", daemon=True).start()

    def before_worker_shutdown(self, broker: Broker, worker: Worker) -> None:
        self._stopping.set()

    def _run(self, letters: DeadLetters) -> None:
        while not self._stopping.is_set():
            try:
                self._take_up_what_was_left()
                while not self._stopping.is_set():
                    self._tell_next(letters)
            except (redis.RedisError, BrokerError, TransientError) as error:
                logger.warning("poisoned_not_told", extra={"error": str(error)})
                self._stopping.wait(OUTAGE_PAUSE_S)

    def _take_up_what_was_left(self) -> None:
        while self._client.lmove(self._telling, self._untold, "RIGHT", "LEFT"):
            pass

    def _tell_next(self, letters: DeadLetters) -> None:
        message_id = cast(
            "bytes | None", self._client.blmove(self._untold, self._telling, BLOCK_S, "LEFT", "RIGHT")
        )
        if message_id is None:
            return
        letter = letters.find(message_id.decode())
        if letter is not None and letter.message is not None:
            self._on_dead(MessageProxy(letter.message), PermanentError(letter.reason["error"]))
        self._client.lrem(self._telling, 1, message_id.decode())
