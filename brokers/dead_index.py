"""All dead letters of a namespace by queue, actor, account, error and age, without reading them again.

Redis keeps dead letters by the time of their death alone. The index holds a few words of each in
memory, about 300 bytes, and reads only those that are new since the last question.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from brokers.dead_letters import DeadLetters
from brokers.fingerprints import fingerprint, group_id
from brokers.states import DeadLetter

# Older letters are left out: a hundred megabytes are enough to tell what is the matter.
MOST_INDEXED = 300_000
# A text is looked for in this many letters at a time: about half a second.
MOST_SEARCHED = 20_000
_CHUNK = 500


# Time of death in ms, and id: where a letter stands among all of them.
Position = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index knows of a dead letter; `error` is the fingerprint of its error."""

    died_ms: int
    message_id: str
    queue: str
    error: str
    actor: str | None
    account_id: int | None

    @property
    def position(self) -> Position:
        return self.died_ms, self.message_id


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Which letters; what is None does not matter. `group` is the id of an error's group."""

    queue: str | None = None
    actor: str | None = None
    account_id: int | None = None
    group: str | None = None
    died_since_s: float | None = None
    died_before_s: float | None = None

    def test(self, errors: Collection[str]) -> Callable[[Entry], bool]:
        """A test of these conditions; `errors` are the fingerprints there are."""
        tests: list[Callable[[Entry], bool]] = []
        if (actor := self.actor) is not None:
            tests.append(lambda entry: entry.actor == actor)
        if (account_id := self.account_id) is not None:
            tests.append(lambda entry: entry.account_id == account_id)
        if self.group is not None:
            wanted = {error for error in errors if group_id(error) == self.group}
            tests.append(lambda entry: entry.error in wanted)
        if self.died_since_s is not None:
            since_ms = self.died_since_s * 1000
            tests.append(lambda entry: entry.died_ms >= since_ms)
        if self.died_before_s is not None:
            before_ms = self.died_before_s * 1000
            tests.append(lambda entry: entry.died_ms < before_ms)
        if len(tests) == 1:
            return tests[0]
        return lambda entry: all(test(entry) for test in tests)

    @property
    def is_all(self) -> bool:
        return self == Match(queue=self.queue)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Dead letters with the same fingerprint."""

    error: str
    count: int
    queues: Collection[str]
    actors: Collection[str]
    account_count: int
    first_died_ms: int
    latest: Entry

    @property
    def id(self) -> str:
        return group_id(self.error)


@dataclass(frozen=True, slots=True)
class Found:
    """Some letters, and the position from which to ask for more; None when that was all."""

    letters: Sequence[DeadLetter]
    next_before: Position | None


class DeadIndex:
    """Each question first brings the index up to date; the first one reads everything."""

    def __init__(self, letters: DeadLetters) -> None:
        self._letters = letters
        self._of_queue: dict[str, _QueueIndex] = {}
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Know what Redis holds now. Raises redis.RedisError."""
        with self._lock:
            for queue in self._letters.queue_names():
                if queue not in self._of_queue:
                    self._of_queue[queue] = _QueueIndex(self._letters, queue)
                self._of_queue[queue].refresh()

    def find(
        self, match: Match, *, limit: int, before: Position | None = None, search: str | None = None
    ) -> Found:
        """Letters, latest first, from the position `before` on; `search` looks into id, body and reason."""
        entries = self._matching(match)
        if before is not None:
            entries = (entry for entry in entries if entry.position < before)
        if search is None:
            some = list(islice(entries, limit + 1))
            page, has_more = some[:limit], len(some) > limit
            last = page[-1].position if has_more else None
        else:
            page, last = self._search(entries, search, limit)
        return Found(self._letters.read([(entry.queue, entry.message_id) for entry in page]), last)

    def entries(self, match: Match, *, limit: int, before: Position | None = None) -> list[Entry]:
        """The matching entries, latest first, from the position `before` on."""
        entries = self._matching(match)
        return list(islice((one for one in entries if before is None or one.position < before), limit))

    def count(self, match: Match) -> int:
        return sum(1 for run in self._runs(match) for _ in run)

    def groups(self, match: Match) -> list[Group]:
        """Matching letters by fingerprint, the largest group first."""
        found: dict[str, list[Entry]] = {}
        for run in self._runs(match):
            for entry in run:
                found.setdefault(entry.error, []).append(entry)
        groups = [
            Group(
                error=error,
                count=len(entries),
                queues=sorted({entry.queue for entry in entries}),
                actors=sorted({entry.actor for entry in entries if entry.actor is not None}),
                account_count=len({entry.account_id for entry in entries} - {None}),
                first_died_ms=min(entry.died_ms for entry in entries),
                latest=max(entries, key=lambda entry: entry.died_ms),
            )
            for error, entries in found.items()
        ]
        return sorted(groups, key=lambda group: (-group.count, group.error))

    def _matching(self, match: Match) -> Iterator[Entry]:
        """Latest first, over all queues."""
        return merge(*self._runs(match), key=lambda entry: entry.position, reverse=True)

    def _runs(self, match: Match) -> list[Iterator[Entry]]:
        """Each queue's matching entries, latest first."""
        self.refresh()
        with self._lock:
            # Lists are replaced, never changed, so a reader may go on with an old one.
            found = [
                (index.ascending, index.errors)
                for queue, index in self._of_queue.items()
                if match.queue is None or match.queue == queue
            ]
        if match.is_all:
            return [reversed(ascending) for ascending, _ in found]
        return [filter(match.test(errors), reversed(ascending)) for ascending, errors in found]

    def _search(
        self, entries: Iterator[Entry], search: str, limit: int
    ) -> tuple[list[Entry], Position | None]:
        """At most `limit` that hold the text, and the last one looked at, if there are more."""
        # As it stands, and as JSON escapes it.
        forms = {search.encode(errors="replace"), json.dumps(search)[1:-1].encode()}
        found: list[Entry] = []
        for _ in range(MOST_SEARCHED // _CHUNK):
            chunk = list(islice(entries, _CHUNK))
            stored = self._letters.read_stored([(entry.queue, entry.message_id) for entry in chunk])
            for entry, (value, reason) in zip(chunk, stored, strict=True):
                text = b" ".join((entry.message_id.encode(), value or b"", reason or b""))
                if any(form in text for form in forms):
                    found.append(entry)
                    if len(found) == limit:
                        return found, entry.position
            if len(chunk) < _CHUNK:
                return found, None
        return found, chunk[-1].position


class _Reason(msgspec.Struct):
    error: str = "unknown"


class _Arguments(msgspec.Struct):
    account_id: Any = None


class _Body(msgspec.Struct):
    actor_name: str
    kwargs: _Arguments


_read_reason = msgspec.json.Decoder(_Reason).decode
_read_body = msgspec.json.Decoder(_Body).decode


class _QueueIndex:
    """One queue's entries, oldest first."""

    def __init__(self, letters: DeadLetters, queue: str) -> None:
        self._letters = letters
        self._queue = queue
        self._by_id: dict[str, Entry] = {}
        self._words: dict[str, str] = {}
        self.errors: set[str] = set()
        self.ascending: list[Entry] = []

    def refresh(self) -> None:
        latest_ms = self.ascending[-1].died_ms if self.ascending else 0
        count, died = self._letters.deaths_since(self._queue, latest_ms, limit=MOST_INDEXED)
        new = {
            message_id: died_ms
            for message_id, died_ms in died
            if message_id not in self._by_id or self._by_id[message_id].died_ms != died_ms
        }
        if new:
            self._add(new)
        if len(self._by_id) > min(count, MOST_INDEXED):
            self._drop_those_gone()

    def _add(self, new: Mapping[str, int]) -> None:
        added: list[Entry] = []
        items = iter(new.items())
        while chunk := list(islice(items, _CHUNK)):
            stored = self._letters.read_stored([(self._queue, message_id) for message_id, _ in chunk])
            for (message_id, died_ms), (value, reason) in zip(chunk, stored, strict=True):
                added.append(self._entry(message_id, died_ms, value, reason))
        # One that died again has moved.
        kept = [entry for entry in self.ascending if entry.message_id not in new]
        self.ascending = sorted([*kept, *added], key=lambda entry: entry.position)
        self._by_id = {entry.message_id: entry for entry in self.ascending}

    def _drop_those_gone(self) -> None:
        there = set(self._letters.ids(self._queue, limit=MOST_INDEXED))
        self.ascending = [entry for entry in self.ascending if entry.message_id in there]
        self._by_id = {entry.message_id: entry for entry in self.ascending}

    def _entry(self, message_id: str, died_ms: int, value: bytes | None, reason: bytes | None) -> Entry:
        actor, account_id = _subject(value)
        error = _error(reason)
        # Thousands of letters share few errors and actors.
        error = self._words.setdefault(error, error)
        self.errors.add(error)
        actor = actor and self._words.setdefault(actor, actor)
        return Entry(died_ms, message_id, self._queue, error, actor, account_id)


def _error(reason: bytes | None) -> str:
    try:
        return fingerprint(_read_reason(reason or b"{}").error)
    except msgspec.MsgspecError:
        return "unknown"


def _subject(value: bytes | None) -> tuple[str | None, int | None]:
    _, _, body = (value or b"").partition(b"\n")
    try:
        found = _read_body(body)
    except msgspec.MsgspecError:
        return None, None
    account_id = found.kwargs.account_id
    return found.actor_name, account_id if isinstance(account_id, int) else None
