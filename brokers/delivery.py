"""A message in a worker's hands: how it is opened, what it owes, and how it ends."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from typing import Any

from dramatiq import Message, MessageProxy
from dramatiq.errors import DecodeError

from brokers import codec, envelope
from brokers.envelope import ID_OPTION, LeasedId
from brokers.process import Lent, Settled

# Told of a dead message beside its error: what its last attempt added is not in the stored one.
TOLD_OPTIONS = ("dead_reason", "attempts", "traceback")


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


def open_delivery(lent: Lent) -> tuple[Delivery, bool]:
    """The message that was lent, with its lease, and whether it was delayed. Raises DecodeError."""
    try:
        header, body = envelope.unpack(lent.value)
    except ValueError as error:
        raise DecodeError("The message has no header.", lent.value, error) from error
    message = codec.decode(body)
    if message.queue_name != lent.queue or message.message_id != lent.message_id:
        # Somebody edited it; where Redis keeps it counts.
        message = replace(message, queue_name=lent.queue, message_id=lent.message_id)
    message.options[ID_OPTION] = LeasedId(lent.message_id, lent.queue, lent.claim)
    return Delivery(message, lent), bool(header.due_ms)


def rejected(lent: Lent, *, kind: str = "failed", error: str = "rejected", **facts: object) -> Settled:
    """A message that goes to the dead letters, with what they say of it."""
    reason = {"kind": kind, "error": error, "host": socket.gethostname(), **facts}
    return Settled("nack", lent.queue, lent.message_id, lent.fetch, json.dumps(reason).encode())


def undecodable(lent: Lent, error: DecodeError) -> Settled:
    """How a message ends that nobody can read: dead, by itself."""
    return rejected(lent, kind="undecodable", error=f"{error}: {error.error}")


def failed(delivery: Delivery) -> Settled:
    """How a message ends whose attempts have failed."""
    error = delivery._exception  # noqa: SLF001 -- dramatiq's own results middleware reads it too
    text = f"{type(error).__name__}: {error}" if error is not None else "rejected"
    told = {name: delivery.options[name] for name in TOLD_OPTIONS if name in delivery.options}
    return rejected(delivery.lent, error=text, retries=delivery.options.get("retries", 0), **told)
