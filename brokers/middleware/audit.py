"""Notes who asked for what: every message that was sent in somebody's name."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

from dramatiq.broker import Broker
from dramatiq.message import Message
from dramatiq.middleware import Middleware

BATCHES_REMEMBERED = 100  # far more than are ever sent at once


class AuditLog(Protocol):
    def record(
        self, *, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> None:
        """Append one line; `source` is the way in (cli, api, dashboard, scheduler)."""
        ...


class Audit(Middleware):
    """Writes a line for each message with the option `requested_by`, "source:person".

    A batch is one request: its first message leaves the line. Retries are not asked for by
    anybody and leave none.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log
        self._batches: deque[str] = deque(maxlen=BATCHES_REMEMBERED)

    def after_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        options = message.options
        requested_by = options.get("requested_by")
        if requested_by is None or "retries" in options or "deferrals" in options:
            return
        action, subject = message.actor_name, options.get("unique_key")
        if batch_id := message.kwargs.get("batch_id"):
            if batch_id in self._batches:
                return
            self._batches.append(batch_id)
            action, subject = "send_batch", f"batch:{batch_id}"
        source, _, actor = requested_by.partition(":")
        detail = {
            "message_id": message.message_id,
            "priority": options.get("broker_priority"),
            "coalesced_with": options.get("coalesced_with"),
            **message.kwargs,
        }
        self._log.record(
            actor=actor or source,
            source=source,
            action=action,
            subject=subject,
            detail={name: value for name, value in detail.items() if value is not None},
        )
