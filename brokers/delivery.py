"""A message in a worker's hands, with what it owes if a send fails after it was processed."""

from __future__ import annotations

import time
from typing import Any

from dramatiq import Message, MessageProxy

from brokers.process import Lent, Settled


class Delivery(MessageProxy):
    """A message proxy that knows its lease.

    `owed` are sends that failed in a hook after processing: a retry, the next of a pipeline, a
    callback. dramatiq swallows such a failure and acknowledges the message, which would lose
    them; so they are sent before it is settled.
    """

    def __init__(self, message: Message[Any], lent: Lent) -> None:
        super().__init__(message)
        self.lent = lent
        self.lent_at_s = time.monotonic()
        self.owed: list[tuple[Message[Any], int | None]] = []

    @property
    def _message(self) -> Message[Any]:
        """Middleware may put another in its place, to change the arguments for instance."""
        return self._current

    @_message.setter
    def _message(self, message: Message[Any]) -> None:
        self._current = message
        # dramatiq's proxy looks each of them up on every access.
        self.queue_name = message.queue_name
        self.actor_name = message.actor_name
        self.args = message.args
        self.kwargs = message.kwargs
        self.options = message.options
        self.message_id = message.message_id

    @property
    def message(self) -> Delivery:
        """What dramatiq's worker reads from an item of its work queue."""
        return self

    @property
    def key(self) -> tuple[str, int]:
        return self.lent.message_id, self.lent.fetch

    def settled(self, how: str) -> Settled:
        return Settled(how, self.lent.queue, self.lent.message_id, self.lent.fetch)
