"""Retrying many dead letters without doing the same harm again: a few first, then more and more.

Three letters are sent again. Only when all three are done do ten follow, then thirty, and so on; a step
in which too many die again ends it. What is known of it stands in Redis, so that any process can go
on with it (`drive`), and one that died half-way has sent nothing twice:

    {ns}:mass-retry:<id>   HASH    plan -> the JSON of a MassRetry; stop -> who wants it to end
    {ns}:mass-retries      ZSET    id by the time it was asked for; the last ones are kept
    {ns}:mass-retries:on   SET     those that are not over
    {ns}:mass-retry:<id>:driver    STRING  who drives it, for a few seconds
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from brokers.dead_index import DeadIndex, Entry, Match
from brokers.dead_letters import DeadLetters
from brokers.redis import PriorityRedisBroker
from sync.errors import InvalidRequest, NotFound

STEPS = (3, 10, 30, 100, 300, 1000)
# Of a step after the first, whose letters must all be done.
MOST_DYING_SHARE = 0.1
KEPT = 50
DRIVEN_FOR_S = 10


class MassRetryState(StrEnum):
    """`recurred`: letters that were sent again died again."""

    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    RECURRED = "recurred"


class MassRetry(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is. `in_flight` are the letters of the present step: queue, id, and when they died in ms.

    `kept` ones stay dead: a newer message does their work, or they cannot be decoded. `position` is
    that of the last letter that was taken.
    """

    id: str
    asked_by: str
    source: str
    asked_at_s: float
    match: Match
    total: int
    state: MassRetryState = MassRetryState.RUNNING
    step: int = -1
    step_size: int = 0
    in_flight: tuple[tuple[str, str, int], ...] = ()
    position: tuple[int, str] | None = None
    done: int = 0
    died_again: int = 0
    died_in_step: int = 0
    kept: int = 0
    ended_at_s: float | None = None
    message: str = ""

    @property
    def is_over(self) -> bool:
        return self.state is not MassRetryState.RUNNING

    @property
    def left(self) -> int:
        """Letters that have not been sent again yet."""
        return max(0, self.total - self.done - self.died_again - self.kept - len(self.in_flight))


@dataclass(frozen=True, slots=True, kw_only=True)
class MassRetries:
    """`on_end` is called once for each that ends, by the process that drives it."""

    broker: PriorityRedisBroker
    letters: DeadLetters
    index: DeadIndex
    on_end: Callable[[MassRetry], None] = lambda _retry: None
    clock: Callable[[], float] = time.time

    def ask(self, match: Match, *, asked_by: str, source: str) -> MassRetry:
        """Begin one over the letters that match now. Raises InvalidRequest when none does."""
        total = self.index.count(match)
        if total == 0:
            raise InvalidRequest("no dead letter matches; nothing was begun")
        now_s = self.clock()
        # Letters that die from now on are none of it, above all its own that die again.
        before_s = now_s if match.died_before_s is None else min(now_s, match.died_before_s)
        retry = MassRetry(
            id=uuid.uuid4().hex[:12],
            asked_by=asked_by,
            source=source,
            asked_at_s=now_s,
            match=msgspec.structs.replace(match, died_before_s=before_s),
            total=total,
        )
        with self._client.pipeline(transaction=True) as pipe:
            pipe.hset(self._name(retry.id), "plan", msgspec.json.encode(retry))
            pipe.zadd(self._all, {retry.id: now_s})
            pipe.sadd(self._on, retry.id)
            pipe.execute()
        self._forget_old()
        return retry

    def list(self) -> Sequence[MassRetry]:
        """The latest ones, the last asked for first."""
        ids = [one.decode() for one in self._client.zrevrange(self._all, 0, KEPT - 1)]
        with self._client.pipeline(transaction=False) as pipe:
            for one in ids:
                pipe.hget(self._name(one), "plan")
            return [_decode(plan) for plan in pipe.execute() if plan]

    def find(self, retry_id: str) -> MassRetry:
        """Raises NotFound."""
        plan = self._client.hget(self._name(retry_id), "plan")
        if plan is None:
            raise NotFound(f"there is no mass retry {retry_id!r}")
        return _decode(plan)

    def stop(self, retry_id: str, *, by: str) -> MassRetry:
        """Let it send nothing more; what it has sent goes on. Raises NotFound."""
        retry = self.find(retry_id)
        if not retry.is_over:
            self._client.hset(self._name(retry_id), "stop", by)
        return retry

    def drive(self, driver: str) -> bool:
        """Bring those that are not over one step on; False when there is none. Raises redis.RedisError."""
        running = [one.decode() for one in self._client.smembers(self._on)]
        for retry_id in running:
            lock = f"{self._name(retry_id)}:driver"
            held = self._client.set(lock, driver, nx=True, px=DRIVEN_FOR_S * 1000, get=True)
            if held in (None, driver.encode()):
                self._client.pexpire(lock, DRIVEN_FOR_S * 1000)
                self._advance(retry_id)
        return bool(running)

    def _advance(self, retry_id: str) -> None:
        retry = self.find(retry_id)
        stopped_by = self._client.hget(self._name(retry_id), "stop")
        retry = self._settle(retry)
        if stopped_by is not None:
            self._end(retry, MassRetryState.STOPPED, f"stopped by {stopped_by.decode()}")
        elif _has_recurred(retry):
            self._end(retry, MassRetryState.RECURRED, f"{retry.died_in_step} of {retry.step_size} died again")
        elif retry.in_flight:
            self._save(retry)
        elif entries := self.index.entries(retry.match, limit=_next_size(retry), before=retry.position):
            # Kept before anything is sent: what was taken and not sent is sent by whoever goes on.
            retry = _with_step(retry, entries)
            self._save(retry)
            self._save(self._settle(retry))
        else:
            self._end(retry, MassRetryState.FINISHED, "every letter that matched was sent again")

    def _settle(self, retry: MassRetry) -> MassRetry:
        """What became of the letters of the present step; those not sent yet are sent."""
        if not retry.in_flight:
            return retry
        places = [(queue, message_id) for queue, message_id, _ in retry.in_flight]
        deaths = dict(zip(retry.in_flight, self.letters.deaths(places), strict=True))
        unsent = [one for one, died_ms in deaths.items() if died_ms == one[2]]
        waits = self._send([(queue, message_id) for queue, message_id, _ in unsent])
        kept = sum(not waits.get(message_id, False) for _, message_id, _ in unsent)
        died = sum(died_ms is not None and died_ms > one[2] for one, died_ms in deaths.items())
        return msgspec.structs.replace(
            retry,
            in_flight=tuple(
                one
                for one, died_ms in deaths.items()
                if died_ms is None or (died_ms == one[2] and waits.get(one[1], False))
            ),
            kept=retry.kept + kept,
            died_again=retry.died_again + died,
            died_in_step=retry.died_in_step + died,
            done=retry.done + sum(died_ms == 0 for died_ms in deaths.values()),
        )

    def _send(self, places: Sequence[tuple[str, str]]) -> dict[str, bool]:
        return dict(self.letters.retry_each(self.letters.read(places))) if places else {}

    def _end(self, retry: MassRetry, state: MassRetryState, message: str) -> None:
        ended = msgspec.structs.replace(retry, state=state, message=message, ended_at_s=self.clock())
        self._save(ended)
        self._client.srem(self._on, retry.id)
        self.on_end(ended)

    def _save(self, retry: MassRetry) -> None:
        self._client.hset(self._name(retry.id), "plan", msgspec.json.encode(retry))

    def _forget_old(self) -> None:
        for one in self._client.zrevrange(self._all, KEPT, -1):
            self._client.delete(self._name(one.decode()))
            self._client.zrem(self._all, one)
            self._client.srem(self._on, one)

    @property
    def _client(self) -> Any:
        return self.broker.client

    @property
    def _all(self) -> str:
        return f"{self.broker.key}:mass-retries"

    @property
    def _on(self) -> str:
        return f"{self.broker.key}:mass-retries:on"

    def _name(self, retry_id: str) -> str:
        return f"{self.broker.key}:mass-retry:{retry_id}"


def _decode(plan: bytes) -> MassRetry:
    return msgspec.json.decode(plan, type=MassRetry)


def _next_size(retry: MassRetry) -> int:
    return STEPS[min(retry.step + 1, len(STEPS) - 1)]


def _with_step(retry: MassRetry, entries: Sequence[Entry]) -> MassRetry:
    return msgspec.structs.replace(
        retry,
        step=retry.step + 1,
        step_size=len(entries),
        died_in_step=0,
        in_flight=tuple((entry.queue, entry.message_id, entry.died_ms) for entry in entries),
        position=entries[-1].position,
    )


def _has_recurred(retry: MassRetry) -> bool:
    allowed = 0 if retry.step == 0 else MOST_DYING_SHARE * retry.step_size
    return retry.died_in_step > allowed
