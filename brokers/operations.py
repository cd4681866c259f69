"""What an operator sees and does: queues, messages in flight, workers, the ledger.

Used by the command line and the web; dead letters have a file of their own. Every call costs in
proportion to what it shows, never to what Redis holds; queue depths are counts that Redis keeps.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from brokers.envelope import read_text
from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from brokers.scripts import COUNT, FIND, WITHDRAW
from brokers.states import (
    InFlight,
    Ledger,
    MessageState,
    QueueState,
    Withdrawal,
    Withdrawn,
    WorkerState,
)
from brokers.stored import open_stored, text_of

PAGE = 200
# What is counted of a queue; lua/layout.lua.
_COUNTED = ("enqueued", "done", "coalesced", "deleted", "repeated", "retried", "lost", "died")


def said_of_limit(queue: str, limit: int | None) -> str:
    """What a queue's limit means, for whoever set it."""
    if limit is None:
        return f"{queue} has no limit of its own."
    return f"At most {limit} of {queue} {'runs' if limit == 1 else 'run'} at once; what runs goes on."


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
        of_queues = sorted((name, n) for name, n in counts.items() if "/" in text_of(name))
        seen = repr((of_queues, sorted(rules.items()), sorted(processes)))
        return hashlib.sha256(seen.encode()).hexdigest()

    # -- queues

    def queue_names(self) -> list[str]:
        return self._broker.known_queues()

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

    # -- messages by id

    def withdraw(self, queue: str, fair_key: str, requests: Sequence[tuple[str, str]]) -> list[Withdrawal]:
        """Take back requests under one fair key, each by its message id and unique key.

        Deletes what waits or is delayed, unless others count on it, too. One that was coalesced
        counts no more; the message that it was one with is deleted once nobody counts on it.
        """
        answers: list[Withdrawal] = []
        for start in range(0, len(requests), PAGE):
            page = [
                part
                for message_id, unique_key in requests[start : start + PAGE]
                for part in (message_id, quote(unique_key, safe=":"))
            ]
            found = self._broker.ask(WITHDRAW, (queue, quote(fair_key, safe=":"), *page))
            answers += [Withdrawal(Withdrawn(became), read_text(text_of(run))) for became, run in found]
        return answers

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
        leases = [text_of(lease).split(" ")[0] for lease in self._client.hvals(f"{self._key}:leased")]
        known = {text_of(name) for name in self._client.smembers(f"{self._key}:processes")}
        unknown = set(leases) - known
        if unknown:
            self._client.sadd(f"{self._key}:processes", *unknown)
        return sum(process in unknown for process in leases)

    # -- messages in flight and workers

    def in_flight(self, queue: str | None = None) -> list[InFlight]:
        """What runs now, longest first; of all queues or of one."""
        leased = self._client.hgetall(f"{self._key}:leased")
        leases: dict[str, str] = {text_of(place): text_of(lease) for place, lease in leased.items()}
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
                    message=open_stored(value)[1],
                )
            )
        return sorted(running, key=lambda one: one.since_s)

    def workers(self) -> list[WorkerState]:
        """Every worker process whose lease lasts, or is over but not yet noticed."""
        names = sorted(text_of(name) for name in self._client.smembers(f"{self._key}:processes"))
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
            heads = [text_of(ids[0]) for ids in pipe.execute() if ids]
        if not heads:
            return None
        values = self._client.hmget(f"{self._key}:values", [f"{name}/{head}" for head in heads])
        headers = [header for value in values if (header := open_stored(value)[0]) is not None]
        ready_ms = [max(header.sent_ms, header.due_ms) for header in headers]
        return max(0.0, self._clock() - min(ready_ms) / 1000) if ready_ms else None

    def _order(self, process: str, order: str, *, is_set: bool) -> bool:
        name = f"{self._key}:process:{process}"
        record = self._client.get(name)
        if record is None:
            return False
        # The process itself only extends the lease, so nothing is overwritten.
        return bool(
            self._client.set(name, json.dumps({**json.loads(record), order: is_set}), keepttl=True, xx=True)
        )
