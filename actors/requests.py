"""From a message's fields to what the engine is asked for; all sync actors share it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import dramatiq
import msgspec
from dramatiq.middleware import CurrentMessage

from brokers.messages import AccountSync, Message, OrganisationSync, SyncMessage
from brokers.queues import Priority
from sync.errors import InvalidRequest
from sync.request import SyncRequest

M = TypeVar("M", bound=Message)

# Answers the id of the run if it is worth giving to an equal request: if it succeeded.
PerformSync = Callable[[SyncRequest], str | None]

_URGENT = (Priority.URGENT, Priority.HIGH)


def read_message(kind: type[M], fields: Mapping[str, Any]) -> M:
    """Rebuild the message. Raises InvalidRequest: trying again cannot mend its fields."""
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{kind.actor_name}: {error}") from error


def to_sync_request(message: SyncMessage) -> SyncRequest:
    """What the message asks for, in the engine's words.

    The publisher fills in `run_id` and `requested_at`; a message that came another way
    takes them from its own dramatiq message, so that another attempt finds the same run.
    """
    current = _current_message()
    sent_at = datetime.fromtimestamp(current.message_timestamp / 1000, UTC)
    return SyncRequest(
        run_id=message.run_id or uuid.UUID(current.message_id).hex,
        mode=message.mode,
        preset=message.preset,
        account_id=message.account_id if isinstance(message, AccountSync) else None,
        organisation_id=message.organisation_id if isinstance(message, OrganisationSync) else None,
        provider=message.provider if isinstance(message, OrganisationSync) else None,
        batch_id=message.batch_id,
        is_dry_run=message.dry_run,
        is_restart=bool(message.restart),
        is_urgent=is_urgent(message),
        is_patient=is_patient(message),
        requested_at=message.requested_at or sent_at,
        fresh_after=message.fresh_after,
    )


def is_urgent(message: Message) -> bool:
    """Whether somebody waits for it, so that it may use the reserved share of a quota."""
    return _priority(message) in _URGENT


def is_patient(message: SyncMessage) -> bool:
    """Whether nobody waits for it, so that it may come back when a provider is up again."""
    return not is_urgent(message) and (message.batch_id is not None or _priority(message) == Priority.LOW)


def _priority(message: Message) -> str:
    return str(_current_message().options.get("broker_priority", message.priority.value))


def _current_message() -> dramatiq.Message[Any]:
    current = CurrentMessage.get_current_message()
    if current is None:
        raise RuntimeError("the broker's chain lacks CurrentMessage")
    return current
