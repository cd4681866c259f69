"""What an operator sees and does: queues, dead letters, messages in flight, workers, the ledger.

Used by the command line and the web. Every call costs in proportion to what it shows, never to
what Redis holds; queue depths are counts that Redis keeps.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any
from urllib.parse import quote

from dramatiq import Message
from dramatiq.errors import DecodeError

from brokers import codec, envelope
from brokers.envelope import Header
from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from brokers.scripts import COUNT, DELETE, ENQUEUE, FIND, WITHDRAW
from brokers.states import DeadLetter, InFlight, Ledger, MessageState, QueueState, Withdrawn, WorkerState

PAGE = 200
# What is counted of a queue; lua/layout.lua.
_COUNTED = ("enqueued", "done", "coalesced", "deleted", "repeated", "retried", "lost", "died")
# What a retry by hand forgets: the message starts again as if it had never failed.
_ATTEMPT_OPTIONS = (
    "retries",
    "deferrals",
    "due_at_ms",
    "attempts",
    "traceback",
    "dead_reason",
    "requeue_timestamp",
)


class Operations:
    """An operator's hands on a broker's namespace."""

    def __init__(self, broker: PriorityRedisBroker, *, clock: Callable[[], float] = time.time) -> None:
        self._broker = broker
        self._client: Any = broker.client
        self._key = broker.key
        self._clock = clock

    def pulse(self) -> str:
        """Differs whenever a message moved, a queue was switched, or a worker came or went."""
        with self._client.pipeline(transaction=False) as pipe:
            pipe.hgetall(f"{self._key}:counts")
            pipe.hgetall(f"{self._key}:rules")
            pipe.smembers(f"{self._key}:processes")
            counts, rules, processes = pipe.execute()
        # The other counts are of the calls themselves, idle ones too.
        of_queues = sorted((name, n) for name, n in counts.items() if "/" in _text(name))
        seen = repr((of_queues, sorted(rules.items()), sorted(processes)))
        return hashlib.sha256(seen.encode()).hexdigest()

    # -- queues

    def queue_names(self) -> list[str]:
        return sorted(_text(name) for name in self._client.smembers(f"{self._key}:queues"))

    def queues(self, names: Iterable[str] | None = None) -> list[QueueState]:
        """All queues ever used, or the named ones."""
        return [self.queue(name) for name in (self.queue_names() if names is None else names)]

    def queue(self, name: str) -> QueueState:
        counts, ledger = self._read_counts(name)
        paused, limit = self._client.hmget(f"{self._key}:rules", f"paused:{name}", f"limit:{name}")
        rates = self.minutes(name, 6)[:5]
        return QueueState(
            name=name,
            waiting=dict(zip(Priority, counts[:4], strict=True)),
            delayed=ledger.delayed,
            leased=ledger.leased,
            dead=ledger.dead,
            oldest_age_s=self._oldest_age_s(name),
            is_paused=paused is not None,
            limit=None if limit is None else int(limit),
            enqueued_per_minute=sum(minute.get("enqueued", 0) for minute in rates) / 5,
            done_per_minute=sum(minute.get("done", 0) for minute in rates) / 5,
            died_per_minute=sum(minute.get("died", 0) for minute in rates) / 5,
            ledger=ledger,
        )

    def ledger(self, name: str) -> Ledger:
        return self._read_counts(name)[1]

    def minutes(self, name: str, number: int) -> list[dict[str, int]]:
        """Counts of the last minutes (at most 60), oldest first; the last one is still running."""
        return self.minutes_of([name], number)[name]

    def minutes_of(self, names: Sequence[str], number: int) -> dict[str, list[dict[str, int]]]:
        """As `minutes`, of many queues in one look."""
        if not names:
            return {}
        this = int(self._clock() // 60)
        fields = [f"{name}/{what}" for name in names for what in _COUNTED]
        with self._client.pipeline(transaction=False) as pipe:
            for minute in range(this - number + 1, this + 1):
                pipe.hmget(f"{self._key}:minute:{minute}", "minute", *fields)
            pipe.hmget(f"{self._key}:counts", *fields)
            *starts, end = pipe.execute()
        minutes: dict[str, list[dict[str, int]]] = {name: [] for name in names}
        for is_kept, *start in reversed(starts):
            for place, name in enumerate(names):
                if is_kept is None:  # nothing was counted in it
                    minutes[name].append({})
                    continue
                own = slice(place * len(_COUNTED), (place + 1) * len(_COUNTED))
                counts = {
                    what: int(e or 0) - int(s or 0)
                    for what, s, e in zip(_COUNTED, start[own], end[own], strict=True)
                }
                minutes[name].append({what: count for what, count in counts.items() if count})
            if is_kept is not None:
                end = start
        return {name: found[::-1] for name, found in minutes.items()}

    def pause(self, name: str) -> None:
        """Nothing of the queue starts until `resume`; what runs goes on."""
        self._client.hset(f"{self._key}:rules", f"paused:{name}", 1)

    def resume(self, name: str) -> None:
        self._client.hdel(f"{self._key}:rules", f"paused:{name}")
        self._broker.wake(name)

    def set_limit(self, name: str, limit: int | None) -> None:
        """At most `limit` messages of the queue run at once, over all workers; None: no limit."""
        self._broker.set_queue_limit(name, limit)

    def purge(self, name: str) -> int:
        """Delete what waits or is delayed; how many."""
        return self._broker.purge(name, "waiting", "delayed")

    # -- dead letters

    def dead(
        self, queue: str | None = None, *, search: str | None = None, limit: int | None = None
    ) -> Iterator[DeadLetter]:
        """Dead letters, latest first; `search` keeps those whose id, body or reason contains it."""
        found = 0
        for name in self.queue_names() if queue is None else (queue,):
            for letter in self._dead_of(name):
                if limit is not None and found >= limit:
                    return
                if search is None or search in letter.text:
                    found += 1
                    yield letter

    def read_dead(self, places: Sequence[tuple[str, str]]) -> list[DeadLetter]:
        """The dead letters at these places (queue and id), in order; those that are gone are left out."""
        by_queue: dict[str, list[str]] = {}
        for queue, message_id in places:
            by_queue.setdefault(queue, []).append(message_id)
        found: dict[str, DeadLetter] = {}
        for queue, ids in by_queue.items():
            for start in range(0, len(ids), PAGE):
                some = ids[start : start + PAGE]
                died_ms = self._client.zmscore(f"{self._key}:q:{queue}:dead", some)
                dead = [(one, at) for one, at in zip(some, died_ms, strict=True) if at is not None]
                if dead:
                    found |= {letter.message_id: letter for letter in self._read_dead(queue, dead)}
        return [found[message_id] for _, message_id in places if message_id in found]

    def read_stored(self, places: Sequence[tuple[str, str]]) -> list[tuple[bytes | None, bytes | None]]:
        """What is stored at these places (queue and id), in order: the message and why it died, undecoded."""
        if not places:
            return []
        by_queue: dict[str, list[str]] = {}
        for queue, message_id in places:
            by_queue.setdefault(queue, []).append(message_id)
        values = self._client.hmget(f"{self._key}:values", [f"{queue}/{one}" for queue, one in places])
        reasons: dict[tuple[str, str], bytes | None] = {}
        for queue, ids in by_queue.items():
            found = self._client.hmget(f"{self._key}:q:{queue}:reasons", ids)
            reasons |= {(queue, one): reason for one, reason in zip(ids, found, strict=True)}
        return [(value, reasons[place]) for value, place in zip(values, places, strict=True)]

    def deaths_since(self, queue: str, since_ms: int, *, limit: int) -> tuple[int, list[tuple[str, int]]]:
        """How many dead letters the queue has, and the latest `limit` that died then or later: id and ms."""
        dead = f"{self._key}:q:{queue}:dead"
        with self._client.pipeline(transaction=True) as pipe:
            pipe.zcard(dead)
            pipe.zrevrangebyscore(dead, "+inf", since_ms, start=0, num=limit, withscores=True)
            count, died = pipe.execute()
        return count, [(_text(message_id), int(died_ms)) for message_id, died_ms in died]

    def deaths(self, places: Sequence[tuple[str, str]]) -> list[int | None]:
        """When the messages at these places (queue and id) died, in ms.

        None while one waits or runs, 0 when it is gone: done, or deleted.
        """
        with self._client.pipeline(transaction=True) as pipe:
            for queue, message_id in places:
                pipe.zscore(f"{self._key}:q:{queue}:dead", message_id)
                pipe.hexists(f"{self._key}:values", f"{queue}/{message_id}")
            answers = pipe.execute()
        return [
            None if died_ms is None and exists else int(died_ms or 0)
            for died_ms, exists in zip(answers[::2], answers[1::2], strict=True)
        ]

    def dead_ids(self, queue: str, *, limit: int) -> list[str]:
        """The ids of the queue's dead letters, latest first."""
        return [_text(one) for one in self._client.zrevrange(f"{self._key}:q:{queue}:dead", 0, limit - 1)]

    def show_dead(self, message_id: str) -> DeadLetter | None:
        for name in self.queue_names():
            died_ms = self._client.zscore(f"{self._key}:q:{name}:dead", message_id)
            if died_ms is not None:
                return self._read_dead(name, [(message_id, died_ms)])[0]
        return None

    def retry(
        self,
        letters: Iterable[DeadLetter],
        *,
        kwargs: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
    ) -> int:
        """Send dead letters again, from the first attempt; how many.

        `kwargs` replaces the named arguments (an edited payload). One whose unique key is held by
        a newer message stays dead: its work is asked for already. One that cannot be decoded can
        only be deleted.
        """
        return sum(self.retry_each(letters, kwargs=kwargs, priority=priority).values())

    def retry_each(
        self,
        letters: Iterable[DeadLetter],
        *,
        kwargs: Mapping[str, Any] | None = None,
        priority: Priority | None = None,
    ) -> Mapping[str, bool]:
        """As `retry`; which of the messages, by id, wait again."""
        waits: dict[str, bool] = {}
        source = iter(letters)
        while some := list(islice(source, PAGE)):
            sendable = [one for one in some if one.message is not None and one.header is not None]
            waits |= dict.fromkeys((letter.message_id for letter in some), False)
            if sendable:
                arguments = [part for one in sendable for part in self._revived(one, kwargs, priority)]
                answers = self._broker.call(ENQUEUE, arguments)
                waits |= {one.message_id: answer == 0 for one, answer in zip(sendable, answers, strict=True)}
        return waits

    def _revived(
        self, letter: DeadLetter, kwargs: Mapping[str, Any] | None, priority: Priority | None
    ) -> tuple[str, str, int, str, bytes]:
        """What makes the letter a message again, in its place and under its id."""
        assert letter.message is not None  # noqa: S101 asked by the caller
        assert letter.header is not None  # noqa: S101 asked by the caller
        options = {name: v for name, v in letter.message.options.items() if name not in _ATTEMPT_OPTIONS}
        message = replace(
            letter.message,
            options=options,
            kwargs={**letter.message.kwargs, **(kwargs or {})},
            message_timestamp=round(self._clock() * 1000),
        )
        level = letter.header.level if priority is None else priority.level
        value = envelope.pack(message, level=level, bias=0, due_ms=0, body=codec.encode(message))
        return letter.queue, letter.message_id, 0, "", value

    def delete(self, letters: Iterable[DeadLetter]) -> int:
        """Delete dead letters for good; how many."""
        ids: dict[str, list[str]] = {}
        for letter in letters:
            ids.setdefault(letter.queue, []).append(letter.message_id)
        return sum(self.delete_messages(queue, some) for queue, some in ids.items())

    def delete_messages(self, queue: str, message_ids: Sequence[str]) -> int:
        """Delete messages by id: dead, waiting or delayed ones; how many. Running ones stay."""
        deleted = 0
        for start in range(0, len(message_ids), PAGE):
            deleted += self._broker.ask(DELETE, (queue, *message_ids[start : start + PAGE]))
        return deleted

    def withdraw(self, queue: str, message_ids: Sequence[str]) -> list[Withdrawn]:
        """Delete messages by id that wait or are delayed, except those that others count on, too."""
        answers: list[Withdrawn] = []
        for start in range(0, len(message_ids), PAGE):
            found = self._broker.ask(WITHDRAW, (queue, *message_ids[start : start + PAGE]))
            answers += [Withdrawn(answer) for answer in found]
        return answers

    def expire_dead(self, queue: str, before_s: float) -> int:
        """Delete dead letters that died before a moment, in seconds since 1970; how many."""
        expired = 0
        while True:
            found = self._client.zrangebyscore(
                f"{self._key}:q:{queue}:dead", "-inf", f"({before_s * 1000:.0f}", start=0, num=PAGE
            )
            if not found:
                return expired
            expired += self.delete_messages(queue, [_text(message_id) for message_id in found])

    def states_of(self, queue: str, message_ids: Sequence[str]) -> list[MessageState]:
        with self._client.pipeline(transaction=False) as pipe:
            for message_id in message_ids:
                pipe.hexists(f"{self._key}:values", f"{queue}/{message_id}")
                pipe.zscore(f"{self._key}:q:{queue}:dead", message_id)
            found = pipe.execute()
        return [
            MessageState.DEAD if died_ms is not None else MessageState.HERE if is_here else MessageState.GONE
            for is_here, died_ms in zip(found[::2], found[1::2], strict=True)
        ]

    def is_held(self, unique_key: str) -> bool:
        """Whether a message waits, is delayed or runs under the key."""
        return bool(self._broker.ask(FIND, (quote(unique_key, safe=":"),)))

    def adopt_unknown(self) -> int:
        """Let messages be recovered that a process holds which nobody knows; how many.

        Once it is listed, it is found silent like any other that died.
        """
        leases = [_text(lease).split(" ")[0] for lease in self._client.hvals(f"{self._key}:leased")]
        known = {_text(name) for name in self._client.smembers(f"{self._key}:processes")}
        unknown = set(leases) - known
        if unknown:
            self._client.sadd(f"{self._key}:processes", *unknown)
        return sum(process in unknown for process in leases)

    # -- messages in flight and workers

    def in_flight(self, queue: str | None = None) -> list[InFlight]:
        """What runs now, longest first; of all queues or of one."""
        leases: dict[str, str] = {
            _text(place): _text(lease) for place, lease in self._client.hgetall(f"{self._key}:leased").items()
        }
        places = [place for place in leases if queue is None or place.startswith(f"{queue}/")]
        values = self._client.hmget(f"{self._key}:values", places) if places else []
        running = []
        for place, value in zip(places, values, strict=True):
            name, _, message_id = place.partition("/")
            process, _, level, _, since_ms, _ = leases[place].split(" ")
            running.append(
                InFlight(
                    queue=name,
                    message_id=message_id,
                    process=process,
                    since_s=int(since_ms) / 1000,
                    priority=list(Priority)[int(level)],
                    message=_decode(value)[1],
                )
            )
        return sorted(running, key=lambda one: one.since_s)

    def workers(self) -> list[WorkerState]:
        """Every worker process whose lease lasts, or is over but not yet noticed."""
        names = sorted(_text(name) for name in self._client.smembers(f"{self._key}:processes"))
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.get(f"{self._key}:process:{name}")
                pipe.pttl(f"{self._key}:process:{name}")
            found = pipe.execute()
        workers = []
        for name, record, left_ms in zip(names, found[::2], found[1::2], strict=True):
            facts = json.loads(record) if record else {"quiet": False, "stop": False}
            is_quiet, is_stopping = facts.pop("quiet"), facts.pop("stop")
            workers.append(WorkerState(name, max(left_ms, 0) / 1000, is_quiet, is_stopping, facts))
        return workers

    def quiet(self, process: str, *, is_quiet: bool = True) -> bool:
        """Let a worker take nothing new (or take messages again); False if it is not known."""
        return self._order(process, "quiet", is_set=is_quiet)

    def stop(self, process: str) -> bool:
        """Let a worker finish and exit; False if it is not known. Takes up to a heartbeat."""
        return self._order(process, "stop", is_set=True)

    # -- reading

    def _read_counts(self, name: str) -> tuple[list[int], Ledger]:
        counts: list[int] = self._broker.ask(COUNT, (name,))
        enqueued, done, coalesced, deleted = counts[7:]
        delayed, leased, dead = counts[4:7]
        ledger = Ledger(enqueued, done, coalesced, deleted, sum(counts[:4]), delayed, leased, dead)
        return counts, ledger

    def _oldest_age_s(self, name: str) -> float | None:
        prefix = f"{self._key}:q:{name}:"
        with self._client.pipeline(transaction=False) as pipe:
            for level in range(4):
                pipe.zrange(f"{prefix}waiting:{level}", 0, 0)
            heads = [_text(ids[0]) for ids in pipe.execute() if ids]
        if not heads:
            return None
        values = self._client.hmget(f"{self._key}:values", [f"{name}/{head}" for head in heads])
        headers = [header for value in values if (header := _decode(value)[0]) is not None]
        ready_ms = [max(header.sent_ms, header.due_ms) for header in headers]
        return max(0.0, self._clock() - min(ready_ms) / 1000) if ready_ms else None

    def _dead_of(self, name: str) -> Iterator[DeadLetter]:
        # By time of death, not by rank: letters that the caller retries or deletes shift the ranks.
        latest: str | float = "+inf"
        seen: set[Any] = set()  # of the same millisecond as the end of the last page
        while True:
            page = self._client.zrevrangebyscore(
                f"{self._key}:q:{name}:dead", latest, "-inf", start=0, num=PAGE + len(seen), withscores=True
            )
            new = [(message_id, died_ms) for message_id, died_ms in page if message_id not in seen]
            if not new:
                return
            yield from self._read_dead(name, new)
            latest = page[-1][1]
            seen = {message_id for message_id, died_ms in page if died_ms == latest}

    def _read_dead(self, name: str, page: Sequence[tuple[Any, float]]) -> list[DeadLetter]:
        ids = [message_id for message_id, _ in page]
        values = self._client.hmget(f"{self._key}:values", [f"{name}/{_text(one)}" for one in ids])
        reasons = self._client.hmget(f"{self._key}:q:{name}:reasons", ids)
        letters = []
        for (message_id, died_ms), value, reason in zip(page, values, reasons, strict=True):
            header, message, body = _decode(value)
            letters.append(
                DeadLetter(
                    queue=name,
                    message_id=_text(message_id),
                    died_at_s=died_ms / 1000,
                    reason=json.loads(reason) if reason else {"kind": "failed", "error": "unknown"},
                    header=header,
                    message=message,
                    body=body,
                )
            )
        return letters

    def _order(self, process: str, order: str, *, is_set: bool) -> bool:
        name = f"{self._key}:process:{process}"
        record = self._client.get(name)
        if record is None:
            return False
        # The process itself only extends the lease, so nothing is overwritten.
        return bool(
            self._client.set(name, json.dumps({**json.loads(record), order: is_set}), keepttl=True, xx=True)
        )


def _decode(value: Any) -> tuple[Header | None, Message[Any] | None, bytes]:
    if value is None:
        return None, None, b""
    if isinstance(value, str):
        value = value.encode()
    try:
        header, body = envelope.unpack(value)
    except ValueError:
        return None, None, value
    try:
        return header, codec.decode(body), body
    except DecodeError:
        return header, None, body


def _text(value: bytes | str) -> str:
    # A client may have been opened with decode_responses.
    return value.decode() if isinstance(value, bytes) else value
