"""Notes who asked for what: every message that was sent in somebody's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from dramatiq.broker import Broker
from dramatiq.message import Message
from dramatiq.middleware import Middleware


class AuditLog(Protocol):
    def record(
        self, *, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> None:
        """Append one line; `source` is the way in (cli, api, dashboard, scheduler)."""
        ...


class Audit(Middleware):
    """Writes a line for each message with the option `requested_by`, "source:person".

    Retries are not asked for by anybody and leave no line.
    """

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    def after_enqueue(self, broker: Broker, message: Message[Any], delay: int | None) -> None:
        options = message.options
        requested_by = options.get("requested_by")
        if requested_by is None or "retries" in options or "deferrals" in options:
            return
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
            action=message.actor_name,
            subject=options.get("unique_key"),
            detail={name: value for name, value in detail.items() if value is not None},
        )
