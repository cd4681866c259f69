"""What is remembered of each schedule entry: its last tick, its pause, and what was asked for by hand.

The leader claims a tick before it sends it and settles it afterwards. A tick that was
claimed and not settled is pending: the next leader sends it again under the same ids.
Each write of the leader is refused once another one leads.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering
from stores.redis.leadership import leader_key

# A tick is never claimed twice, even after a clock or an entry was set back: the last ones are kept.
_FIRED_KEPT = 200
_FIRED_KEPT_S = 8 * 24 * 3600

# KEYS: leader, cursors, pending, paused, fired. ARGV: owner, entry, tick, definition, how many fired
# ones to keep, and for how long in ms.
_CLAIM = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return "lost"
end
local cursor = redis.call("HGET", KEYS[2], ARGV[2])
if cursor and tonumber(string.match(cursor, "^(%S+)")) >= tonumber(ARGV[3]) then
    -- Still pending: it was taken, and the answer was lost.
    return redis.call("HGET", KEYS[3], ARGV[2]) == ARGV[3] and "taken" or "old"
end
redis.call("HSET", KEYS[2], ARGV[2], ARGV[3] .. " " .. ARGV[4])
if redis.call("HEXISTS", KEYS[4], ARGV[2]) == 1 then
    return "paused"
end
if redis.call("ZADD", KEYS[5], ARGV[3], ARGV[3]) == 0 then
    return "old"
end
redis.call("ZREMRANGEBYRANK", KEYS[5], 0, -ARGV[5] - 1)
redis.call("PEXPIRE", KEYS[5], ARGV[6])
redis.call("HSET", KEYS[3], ARGV[2], ARGV[3])
return "taken"
"""

# KEYS: leader, pending, results, failures. ARGV: owner, entry, tick, result, 1 if it failed.
# Answers how many ticks of the entry failed in a row, or -1.
_SETTLE = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return -1
end
local was_pending = redis.call("HGET", KEYS[2], ARGV[2]) == ARGV[3]
if was_pending then
    redis.call("HDEL", KEYS[2], ARGV[2])
end
redis.call("HSET", KEYS[3], ARGV[2], ARGV[4])
if ARGV[5] == "0" then
    redis.call("HDEL", KEYS[4], ARGV[2])
    return 0
end
return redis.call("HINCRBY", KEYS[4], ARGV[2], was_pending and 1 or 0)
"""

# KEYS: leader, cursors, pending. ARGV: owner, entry, time, definition, 1 if what is pending stays so.
_BEGIN = """
if redis.call("GET", KEYS[1]) ~= ARGV[1] then
    return 0
end
redis.call("HSET", KEYS[2], ARGV[2], ARGV[3] .. " " .. ARGV[4])
if ARGV[5] == "0" then
    redis.call("HDEL", KEYS[3], ARGV[2])
end
return 1
"""


# Who pauses an entry that fails again and again.
SCHEDULER = "scheduler"


class Claim(enum.StrEnum):
    """What became of the wish to send a tick."""

    TAKEN = "taken"  # ours to send
    OLD = "old"  # it, or a later one, was claimed before
    PAUSED = "paused"  # passed over
    LOST = "lost"  # another scheduler leads


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    by: str
    at: datetime
    reason: str = ""


class TickOutcome(enum.StrEnum):
    """What became of a tick: `alarmed` did its work, and found something that needs a person."""

    DONE = "done"
    SKIPPED = "skipped"
    MISSED = "missed"
    ALARMED = "alarmed"
    FAILED = "failed"


class TickResult(msgspec.Struct, frozen=True, kw_only=True):
    """How an entry's last tick ended; `batch_id` if it started a batch."""

    tick_at: datetime
    settled_at: datetime
    outcome: TickOutcome = TickOutcome.DONE
    batch_id: str | None = None
    message: str | None = None


class EntryState(msgspec.Struct, frozen=True, kw_only=True):
    """`definition` is that of the trigger under which `cursor_at`, the last claimed tick, was computed.

    `next_at` is when the tick after it is due, None when there is none.
    """

    next_at: datetime | None = None
    cursor_at: datetime | None = None
    definition: str = ""
    pending_at: datetime | None = None
    pause: Pause | None = None
    failures: int = 0
    last: TickResult | None = None


class RunNow(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asks for an entry's action at once; `id` is a UUID in hex."""

    id: str
    entry_id: str
    requested_by: str
    requested_at: datetime


class Schedule:
    """Operators use `states`, `pause`, `resume` and `ask`; the rest is the leader's.

    Raises StoreUnavailable.
    """

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        self._leader = leader_key(namespace)
        prefix = f"{{{namespace}}}:schedule:"
        self._cursors = prefix + "cursors"
        self._pending = prefix + "pending"
        self._paused = prefix + "paused"
        self._results = prefix + "results"
        self._failures = prefix + "failures"
        self._asked = prefix + "asked"
        self._next = prefix + "next"
        self._fired = prefix + "fired:"
        self._claim = client.register_script(_CLAIM)
        self._settle = client.register_script(_SETTLE)
        self._begin = client.register_script(_BEGIN)

    def is_led(self) -> bool:
        """Whether a scheduler leads, without which no tick is sent."""
        with answering():
            return bool(self._client.exists(self._leader))

    def states(self) -> Mapping[str, EntryState]:
        """What is known of each entry that ever had a tick or a pause."""
        with answering(), self._client.pipeline(transaction=False) as pipeline:
            keys = (self._cursors, self._pending, self._paused, self._failures, self._results, self._next)
            for key in keys:
                pipeline.hgetall(key)
            tables: list[dict[bytes, bytes]] = pipeline.execute()
        cursors, pending, paused, failures, results, following = tables
        return {
            entry.decode(): EntryState(
                next_at=_time(following[entry]) if entry in following else None,
                cursor_at=_read_cursor(cursors[entry])[0] if entry in cursors else None,
                definition=_read_cursor(cursors[entry])[1] if entry in cursors else "",
                pending_at=_time(pending[entry]) if entry in pending else None,
                pause=msgspec.json.decode(paused[entry], type=Pause) if entry in paused else None,
                failures=int(failures.get(entry, 0)),
                last=msgspec.json.decode(results[entry], type=TickResult) if entry in results else None,
            )
            for entry in cursors.keys() | paused.keys()
        }

    def troubled(self) -> Mapping[str, str]:
        """What needs a person: entries that paused themselves, or whose last tick failed or alarmed."""
        return {
            entry_id: trouble
            for entry_id, state in self.states().items()
            if (trouble := _trouble(state)) is not None
        }

    def pause(self, entry_id: str, pause: Pause) -> None:
        """Pass over the entry's ticks until it is resumed."""
        with answering():
            self._client.hset(self._paused, entry_id, msgspec.json.encode(pause))

    def resume(self, entry_id: str) -> bool:
        """Send its next ticks again, none of those that were passed over; False if it was not paused."""
        with answering(), self._client.pipeline() as pipeline:
            pipeline.hdel(self._paused, entry_id)
            pipeline.hdel(self._failures, entry_id)
            was_paused, _ = pipeline.execute()
        return bool(was_paused)

    def ask(self, request: RunNow) -> None:
        """Leave a request for the leader, who carries it out within about a second."""
        with answering():
            self._client.hset(self._asked, request.id, msgspec.json.encode(request))

    def asked(self) -> Sequence[RunNow]:
        """The open requests, oldest first."""
        with answering():
            values: Any = self._client.hvals(self._asked)
        requests = [msgspec.json.decode(value, type=RunNow) for value in values]
        return sorted(requests, key=lambda request: request.requested_at)

    def answer(self, request_id: str) -> None:
        """Take a request off the list once it is carried out."""
        with answering():
            self._client.hdel(self._asked, request_id)

    def begin(
        self, entry_id: str, definition: str, at: datetime, *, owner: str, keeps_pending: bool = False
    ) -> None:
        """Count the entry's ticks from `at` on: it is new or gone, its trigger changed, or earlier
        ticks were missed.
        """
        with answering():
            keys = [self._leader, self._cursors, self._pending]
            arguments: list[Any] = [owner, entry_id, _milliseconds(at), definition, int(keeps_pending)]
            self._begin(keys=keys, args=arguments)

    def foretell(self, entry_id: str, at: datetime | None) -> None:
        """Say when the entry's next tick is due, for people to read."""
        with answering():
            if at is None:
                self._client.hdel(self._next, entry_id)
            else:
                self._client.hset(self._next, entry_id, str(_milliseconds(at)))

    def claim(self, entry_id: str, definition: str, at: datetime, *, owner: str) -> Claim:
        """Take the tick for sending; earlier ones of the entry can no longer be claimed.

        Repeatable until it is settled.
        """
        keys = [self._leader, self._cursors, self._pending, self._paused, self._fired + entry_id]
        arguments: list[Any] = [owner, entry_id, _milliseconds(at), definition]
        with answering():
            answer: Any = self._claim(keys=keys, args=[*arguments, _FIRED_KEPT, _FIRED_KEPT_S * 1000])
        return Claim(answer.decode() if isinstance(answer, bytes) else answer)

    def settle(self, entry_id: str, result: TickResult, *, owner: str) -> int:
        """The tick was sent or given up; answers how many of the entry failed in a row."""
        keys = [self._leader, self._pending, self._results, self._failures]
        tick, is_failed = _milliseconds(result.tick_at), int(result.outcome is TickOutcome.FAILED)
        arguments: list[Any] = [owner, entry_id, tick, msgspec.json.encode(result), is_failed]
        with answering():
            failures: Any = self._settle(keys=keys, args=arguments)
        return int(failures)


def _trouble(state: EntryState) -> str | None:
    if state.pause is not None:
        return f"paused itself: {state.pause.reason}" if state.pause.by == SCHEDULER else None
    if state.last is None or state.last.outcome not in (TickOutcome.ALARMED, TickOutcome.FAILED):
        return None
    return f"{state.last.outcome}: {state.last.message}"


def _milliseconds(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def _time(text: bytes) -> datetime:
    return datetime.fromtimestamp(int(text) / 1000, UTC)


def _read_cursor(text: bytes) -> tuple[datetime, str]:
    at, _, definition = text.partition(b" ")
    return _time(at), definition.decode()
