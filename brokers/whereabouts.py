"""Where the message is that holds a unique key, and how much lies before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import quote

from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from brokers.scripts import FIND


class Place(StrEnum):
    WAITING = "waiting"
    DELAYED = "delayed"
    LEASED = "leased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """`ahead` counts waiting messages of its queue that start sooner; `due_in_s` is of a delayed one."""

    queue: str
    message_id: str
    place: Place
    priority: Priority | None = None
    ahead: int = 0
    due_in_s: float | None = None
    process: str | None = None


def find_message(broker: PriorityRedisBroker, unique_key: str) -> Whereabouts | None:
    """The message that waits, is delayed or runs under the key; None when there is none.

    Raises ConnectionClosed when Redis does not answer.
    """
    found = broker.ask(FIND, (quote(unique_key, safe=":"),))
    if not found:
        return None
    queue, message_id, place = (text.decode() for text in found[:3])
    whereabouts = Whereabouts(queue=queue, message_id=message_id, place=Place(place))
    match whereabouts.place:
        case Place.WAITING:
            level, ahead = found[3:]
            return replace(whereabouts, priority=list(Priority)[level], ahead=ahead)
        case Place.LEASED:
            return replace(whereabouts, process=found[3].decode())
        case Place.DELAYED:
            return replace(whereabouts, due_in_s=found[3] / 1000)
