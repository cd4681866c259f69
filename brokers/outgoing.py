"""A message on its way to Redis: the copy that is sent, and the arguments of lua/enqueue.lua."""

from __future__ import annotations

from typing import Any

from dramatiq import Actor, Message
from dramatiq.common import current_millis, q_name

from brokers import codec, envelope
from brokers.connection import Argument
from brokers.envelope import ETA_OPTION, ID_OPTION, MOST_BIAS, PLACES_A_STEP, LeasedId, level_of

PRIORITY_OPTION = "broker_priority"
NORMAL_LEVEL = 2
UPGRADE = "upgrade"


def prepare(message: Message[Any], delay_ms: int | None) -> tuple[Message[Any], int | None]:
    """The copy that is sent, and its delay: its options name it in Redis and say when it is due."""
    options = message.options.copy()
    if options.get(ID_OPTION) != message.message_id:
        options[ID_OPTION] = message.message_id
    if delay_ms is not None:
        options[ETA_OPTION] = current_millis() + delay_ms
    elif isinstance(eta := options.get(ETA_OPTION), int | float):
        delay_ms = max(int(eta) - current_millis(), 0)
    copy: Message[Any] = Message(
        q_name(message.queue_name),
        message.actor_name,
        message.args,
        message.kwargs,
        options,
        message.message_id,
        message.message_timestamp,
    )
    return copy, delay_ms


def claim_of(message: Message[Any]) -> str:
    """The lease that is given up by sending this message again, "" if it has none in its queue."""
    held = message.options[ID_OPTION]
    return held.claim if isinstance(held, LeasedId) and held.queue == message.queue_name else ""


def enqueue_arguments(
    message: Message[Any], delay_ms: int | None, actor: Actor[..., Any] | None, claim: str
) -> tuple[Argument, ...]:
    """What lua/enqueue.lua reads of a prepared message. Raises ValueError for an unknown priority."""
    priority = message.options.get(PRIORITY_OPTION)
    bias = 0
    if actor is not None:
        if priority is None:
            priority = actor.options.get(PRIORITY_OPTION)
        if actor.priority:
            bias = max(-MOST_BIAS, min(actor.priority * PLACES_A_STEP, MOST_BIAS))
    value = envelope.pack(
        message,
        level=NORMAL_LEVEL if priority is None else level_of(priority),
        bias=bias,
        due_ms=int(message.options.get(ETA_OPTION) or 0),
        body=codec.encode(message),
    )
    return message.queue_name, message.message_id, max(delay_ms or 0, 0), claim, value


def in_place_of(message: Message[Any], holder_id: str, run_id: str | None) -> Message[Any]:
    """A stronger request under the names of the waiting one whose place it takes."""
    kwargs = message.kwargs if run_id is None else {**message.kwargs, "run_id": run_id}
    return Message(
        message.queue_name,
        message.actor_name,
        message.args,
        kwargs,
        {**message.options, ID_OPTION: holder_id},
        holder_id,
        message.message_timestamp,
    )
