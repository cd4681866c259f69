"""What an operator sees of a broker: queues, dead letters, messages, workers, the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any

from dramatiq import Message

from brokers.envelope import Header
from brokers.queues import Priority


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of everything ever enqueued on a queue.

    `dead` are the dead letters that are kept now; retried ones wait again, deleted ones are `deleted`.
    """

    enqueued: int
    done: int
    coalesced: int
    deleted: int
    waiting: int
    delayed: int
    leased: int
    dead: int

    @property
    def is_balanced(self) -> bool:
        return self.enqueued == (
            self.done + self.coalesced + self.deleted + self.waiting + self.delayed + self.leased + self.dead
        )


@dataclass(frozen=True, slots=True)
class QueueState:
    """A queue now; `oldest_age_s` of its waiting messages, rates a minute over the last five."""

    name: str
    waiting: Mapping[Priority, int]
    delayed: int
    leased: int
    dead: int
    oldest_age_s: float | None
    is_paused: bool
    limit: int | None
    enqueued_per_minute: float
    done_per_minute: float
    died_per_minute: float
    ledger: Ledger

    @property
    def depth(self) -> int:
        return sum(self.waiting.values())


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be tried again by itself, and why.

    `reason` has at least `kind` (failed, poison, undecodable, ...) and `error`; `message` is None
    if it cannot be decoded, `body` is what was stored.
    """

    queue: str
    message_id: str
    died_at_s: float
    reason: Mapping[str, Any]
    header: Header | None
    message: Message[Any] | None
    body: bytes

    @property
    def text(self) -> str:
        """What a search looks through."""
        return " ".join((self.message_id, self.body.decode(errors="replace"), json.dumps(dict(self.reason))))


class MessageState(StrEnum):
    """Where a message is: `here` if it waits, is delayed or runs."""

    HERE = "here"
    DEAD = "dead"
    GONE = "gone"


class Withdrawn(IntEnum):
    """What became of a request that was to be taken back; the numbers are those of lua/withdraw.lua."""

    GONE = 0  # it runs, or it ended, or it was coalesced with one that others count on
    DELETED = 1
    SHARED = 2  # another request was coalesced with it, so it stays


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """`run_id` is that of the message that was deleted."""

    became: Withdrawn
    run_id: str | None = None


@dataclass(frozen=True, slots=True)
class InFlight:
    """A message that a worker process holds."""

    queue: str
    message_id: str
    process: str
    since_s: float
    priority: Priority
    message: Message[Any] | None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """A worker process; its lease ends in `lease_left_s` unless it beats.

    `record`: host, pid, threads, queues (None: all), started_at_s.
    """

    process: str
    lease_left_s: float
    is_quiet: bool
    is_stopping: bool
    record: Mapping[str, Any] = field(default_factory=dict)

    def serves(self, queue: str) -> bool:
        """Whether it takes messages of the queue, now."""
        queues = self.record.get("queues")
        is_taking = not self.is_quiet and self.lease_left_s > 0
        return is_taking and (queues is None or queue in queues)
