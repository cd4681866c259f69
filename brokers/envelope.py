"""What Redis keeps of a message: one header line for the Lua scripts, then the encoded message.

Header: `level bias fair unique strength run deaths sent_ms due_ms`; see lua/layout.lua.
Read from the message's options: broker_priority, fair_key, unique_key, unique_strength.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self
from urllib.parse import quote, unquote

from dramatiq import Message

from brokers.queues import Priority

LEVELS: Mapping[Any, int] = {**{p.value: p.level for p in Priority}, **{p.level: p.level for p in Priority}}
# dramatiq's numeric priority orders messages near each other, as its prefetch does: each step costs
# some places in the line, but more than this many would let a low one starve.
PLACES_A_STEP = 10
MOST_BIAS = 1000
NONE = "-"
ID_OPTION = "redis_message_id"
# Sending takes dramatiq's own due time away, which would make its worker keep delays in memory.
ETA_OPTION = "eta"


class LeasedId(str):
    """The `redis_message_id` of a delivered message: equal to the one sent, and it knows the lease.

    So whatever copy of the message a program sends again gives up the lease, while a delivered
    message still equals the one that was sent.
    """

    __slots__ = ("claim", "queue")

    queue: str
    claim: str

    def __new__(cls, message_id: str, queue: str = "", claim: str = "") -> Self:
        self = super().__new__(cls, message_id)
        self.queue, self.claim = queue, claim
        return self


@dataclass(frozen=True, slots=True)
class Header:
    """The part of a stored message that Redis itself reads."""

    level: int
    unique: str | None
    fair: str | None
    deaths: int
    sent_ms: int
    due_ms: int

    @property
    def priority(self) -> Priority:
        return list(Priority)[self.level]


def pack(message: Message[Any], *, level: int, bias: int, due_ms: int, body: bytes) -> bytes:
    """The value that Redis stores for a message."""
    options = message.options
    fair, unique = options.get("fair_key"), options.get("unique_key")
    if fair is None and unique is None:
        texts = "- - 0 -"
    else:
        run = message.kwargs.get("run_id")
        strength = int(options.get("unique_strength") or 0)
        texts = f"{_text(fair)} {_text(unique)} {strength} {_text(run)}"
    return f"{level} {bias} {texts} 0 {message.message_timestamp} {due_ms}\n".encode() + body


def unpack(value: bytes) -> tuple[Header, bytes]:
    """The header and the encoded message."""
    line, _, body = value.partition(b"\n")
    level, _, fair, unique, _, _, deaths, sent_ms, due_ms = line.decode().split(" ")
    return (
        Header(int(level), read_text(unique), read_text(fair), int(deaths), int(sent_ms), int(due_ms)),
        body,
    )


def level_of(priority: object) -> int:
    """0 to 3 for `urgent` to `low` or 0 to 3. Raises ValueError for anything else."""
    try:
        return LEVELS[priority]
    except (KeyError, TypeError):
        raise ValueError(
            f"broker_priority: {priority!r} is none of {', '.join(Priority)} or 0 to 3"
        ) from None


def read_text(field: str) -> str | None:
    return None if field == NONE else unquote(field)


@lru_cache(maxsize=1024)
def _text(value: object) -> str:
    if value is None or value == "":
        return NONE
    text = quote(str(value), safe=":")
    return "%2D" if text == NONE else text
