"""Where the message is that holds a unique key, and how much lies before it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker


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

    Raises redis.RedisError. Keys and the holder's form: lua/layout.lua.
    """
    holder: Any = broker.client.hget(f"{broker.key}:unique", quote(unique_key, safe=":"))
    if holder is None:
        return None
    queue, *_, message_id = holder.decode().split(" ")
    prefix = f"{broker.key}:q:{queue}"
    with broker.client.pipeline(transaction=True) as pipe:
        for level in range(4):
            pipe.zrank(f"{prefix}:waiting:{level}", message_id)
        for level in range(4):
            pipe.zcard(f"{prefix}:waiting:{level}")
        pipe.zscore(f"{prefix}:delayed", message_id)
        pipe.hget(f"{prefix}:leased", message_id)
        pipe.time()
        found: list[Any] = pipe.execute()
    ranks, counts, (due_ms, lease, (now_s, now_us)) = found[:4], found[4:8], found[8:]
    for level, rank in enumerate(ranks):
        if rank is not None:
            return Whereabouts(
                queue=queue,
                message_id=message_id,
                place=Place.WAITING,
                priority=list(Priority)[level],
                ahead=sum(counts[:level]) + rank,
            )
    if lease is not None:
        process = lease.decode().split(" ")[0]
        return Whereabouts(queue=queue, message_id=message_id, place=Place.LEASED, process=process)
    if due_ms is not None:
        due_in_s = max(0.0, due_ms / 1000 - (now_s + now_us / 1e6))
        return Whereabouts(queue=queue, message_id=message_id, place=Place.DELAYED, due_in_s=due_in_s)
    return None
