"""Dead letters as an operator handles them: read, looked for, sent again, expired, one page at a time.

Which of many, by actor, account or error: dead_index.py. All of them without new harm: mass_retry.py.
Deleted with the runs that they were for: removal.py.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from heapq import merge
from itertools import islice
from typing import Any

from brokers import codec, envelope
from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from brokers.scripts import DELETE, ENQUEUE
from brokers.states import DeadLetter
from brokers.stored import open_stored, text_of

PAGE = 200
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


class DeadLetters:
    """Those of a broker's namespace, in all its queues."""

    def __init__(self, broker: PriorityRedisBroker, *, clock: Callable[[], float] = time.time) -> None:
        self._broker = broker
        self._client: Any = broker.client
        self._key = broker.key
        self._clock = clock

    def queue_names(self) -> list[str]:
        return self._broker.known_queues()

    def latest(
        self, queue: str | None = None, *, search: str | None = None, limit: int | None = None
    ) -> Iterator[DeadLetter]:
        """Dead letters, latest first; `search` keeps those whose id, body or reason contains it."""
        names = self.queue_names() if queue is None else (queue,)
        letters = merge(
            *(self._latest_of(name) for name in names), key=lambda letter: letter.died_at_s, reverse=True
        )
        matching = (letter for letter in letters if search is None or search in letter.text)
        yield from islice(matching, limit)

    def read(self, places: Sequence[tuple[str, str]]) -> list[DeadLetter]:
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
                    found |= {letter.message_id: letter for letter in self._read_page(queue, dead)}
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
        return count, [(text_of(message_id), int(died_ms)) for message_id, died_ms in died]

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

    def ids(self, queue: str, *, limit: int) -> list[str]:
        """The ids of the queue's dead letters, latest first."""
        return [text_of(one) for one in self._client.zrevrange(f"{self._key}:q:{queue}:dead", 0, limit - 1)]

    def find(self, message_id: str) -> DeadLetter | None:
        for name in self.queue_names():
            died_ms = self._client.zscore(f"{self._key}:q:{name}:dead", message_id)
            if died_ms is not None:
                return self._read_page(name, [(message_id, died_ms)])[0]
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

    def delete_by_id(self, queue: str, message_ids: Sequence[str]) -> int:
        """Delete messages by id: dead, waiting or delayed ones; how many. Running ones stay."""
        deleted = 0
        for start in range(0, len(message_ids), PAGE):
            deleted += len(self._broker.ask(DELETE, (queue, *message_ids[start : start + PAGE])))
        return deleted

    def expire(self, queue: str, before_s: float) -> int:
        """Delete dead letters that died before a moment, in seconds since 1970; how many."""
        expired = 0
        while True:
            found = self._client.zrangebyscore(
                f"{self._key}:q:{queue}:dead", "-inf", f"({before_s * 1000:.0f}", start=0, num=PAGE
            )
            if not found:
                return expired
            expired += self.delete_by_id(queue, [text_of(message_id) for message_id in found])

    def _latest_of(self, name: str) -> Iterator[DeadLetter]:
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
            yield from self._read_page(name, new)
            latest = page[-1][1]
            seen = {message_id for message_id, died_ms in page if died_ms == latest}

    def _read_page(self, name: str, page: Sequence[tuple[Any, float]]) -> list[DeadLetter]:
        ids = [message_id for message_id, _ in page]
        values = self._client.hmget(f"{self._key}:values", [f"{name}/{text_of(one)}" for one in ids])
        reasons = self._client.hmget(f"{self._key}:q:{name}:reasons", ids)
        letters = []
        for (message_id, died_ms), value, reason in zip(page, values, reasons, strict=True):
            header, message, body = open_stored(value)
            letters.append(
                DeadLetter(
                    queue=name,
                    message_id=text_of(message_id),
                    died_at_s=died_ms / 1000,
                    reason=json.loads(reason) if reason else {"kind": "failed", "error": "unknown"},
                    header=header,
                    message=message,
                    body=body,
                )
            )
        return letters
