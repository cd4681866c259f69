"""What the way out needs from shared memory, in this process's own; the contract suite holds it to Redis."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from providers.ports import digest_of

PLACE_LIVES_S = 15.0
FAILURES_TO_OPEN = 5
OPEN_FOR_S = 60.0


@dataclass
class Stopwatch:
    """A clock that tests turn, and a sleep that turns it."""

    now_s: float = 0.0
    slept_s: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now_s

    def sleep(self, for_s: float) -> None:
        self.slept_s.append(for_s)
        self.now_s += for_s


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAdmission:
    is_admitted: bool
    wait_s: float = 0.0
    reason: str = ""


class MemoryLedgers:
    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._ledgers: dict[str, MemoryLedger] = {}

    def ledger(self, name: str, *, requests_per_s: float, concurrency: int) -> MemoryLedger:
        ledger = self._ledgers.setdefault(name, MemoryLedger(self._now_s))
        ledger.interval_s, ledger.concurrency = 1 / requests_per_s, concurrency
        ledger.requests_a_window = max(1, int(requests_per_s))
        return ledger


class MemoryLedger:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self.interval_s = 0.0
        self.concurrency = 1
        self.requests_a_window = 1
        self._log: list[float] = []
        self._urgent_until_s = 0.0
        self.pauses_s: list[float] = []
        self.late_s: list[float] = []
        self._now_s = now_s
        self._lock = threading.Lock()
        self._arrival_s = 0.0
        self._paused_until_s = 0.0
        self._places: dict[str, float] = {}

    def admit(self, place: str, *, is_urgent: bool) -> MemoryAdmission:
        with self._lock:
            now_s = self._now_s()
            if self._paused_until_s > now_s:
                return MemoryAdmission(is_admitted=False, wait_s=self._paused_until_s - now_s, reason="pause")
            self._places = {name: until for name, until in self._places.items() if until > now_s}
            reserved = -(-self.concurrency // 8) if self.concurrency >= 4 and not is_urgent else 0
            if len(self._places) >= self.concurrency - reserved:
                return MemoryAdmission(is_admitted=False, wait_s=0.02, reason="concurrency")
            self._arrival_s = min(max(self._arrival_s, now_s), now_s + 0.8 + self.interval_s)
            arrival_s = self._arrival_s
            wait_s = arrival_s - (0.8 if is_urgent else 0.5) - now_s
            if len(self._log) >= self.requests_a_window:
                window_s = self.requests_a_window * self.interval_s
                wait_s = max(wait_s, self._log[-self.requests_a_window] + window_s - now_s)
            if not is_urgent:
                wait_s = max(wait_s, min(self._urgent_until_s - now_s, self.interval_s))
            if wait_s > 0:
                if is_urgent:
                    self._urgent_until_s = now_s + wait_s + self.interval_s
                return MemoryAdmission(is_admitted=False, wait_s=wait_s, reason="rate")
            if is_urgent:
                self._urgent_until_s = 0.0
            self._arrival_s = arrival_s + self.interval_s
            self._log = [*self._log, now_s][-self.requests_a_window :]
            self._places[place] = now_s + PLACE_LIVES_S
            return MemoryAdmission(is_admitted=True)

    def left_late(self, place: str, *, late_s: float) -> None:
        self.late_s.append(late_s)

    def release(self, place: str, *, late_s: float = 0.0) -> None:
        self.late_s.append(late_s)
        with self._lock:
            self._places.pop(place, None)

    def pause(self, for_s: float) -> None:
        with self._lock:
            self.pauses_s.append(for_s)
            self._paused_until_s = max(self._paused_until_s, self._now_s() + for_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryAnswer:
    body: bytes | None
    fetched_at: datetime
    validators: tuple[str | None, str | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryLookup:
    answer: MemoryAnswer | None
    is_fresh: bool = False
    has_turn: bool = False


class MemoryAnswers:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._answers: dict[str, MemoryAnswer] = {}
        self._turns: dict[str, str] = {}

    def look_up(self, key: str, *, fresh_after: datetime, asker: str) -> MemoryLookup:
        with self._lock:
            answer = self._answers.get(key)
            if answer is not None and answer.fetched_at >= fresh_after:
                return MemoryLookup(answer=answer, is_fresh=True)
            if key in self._turns:
                return MemoryLookup(answer=None)
            self._turns[key] = asker
            return MemoryLookup(answer=answer, has_turn=True)

    def read(self, key: str) -> MemoryAnswer | None:
        with self._lock:
            return self._answers.get(key)

    def asked(self, keys: Collection[str]) -> Collection[str]:
        with self._lock:
            return self._turns.keys() & set(keys)

    def digests(self, keys: Sequence[str], *, fresh_after: datetime) -> Sequence[str | None]:
        with self._lock:
            found = [self._answers.get(key) for key in keys]
        return [
            digest_of(answer.body) if answer is not None and answer.fetched_at >= fresh_after else None
            for answer in found
        ]

    def save(
        self,
        key: str,
        body: bytes | None,
        *,
        validators: tuple[str | None, str | None],
        fetched_at: datetime,
        asker: str,
    ) -> None:
        with self._lock:
            self._answers[key] = MemoryAnswer(body=body, fetched_at=fetched_at, validators=validators)
            self._end_turn(key, asker)

    def confirm(self, key: str, *, fetched_at: datetime, asker: str) -> None:
        with self._lock:
            if (answer := self._answers.get(key)) is not None:
                self._answers[key] = MemoryAnswer(
                    body=answer.body, fetched_at=fetched_at, validators=answer.validators
                )
            self._end_turn(key, asker)

    def abandon(self, key: str, *, asker: str) -> None:
        with self._lock:
            self._end_turn(key, asker)

    def _end_turn(self, key: str, asker: str) -> None:
        if self._turns.get(key) == asker:
            del self._turns[key]


class MemoryBreakers:
    def __init__(
        self, now_s: Callable[[], float] = time.monotonic, *, open_for_s: float = OPEN_FOR_S
    ) -> None:
        self._now_s = now_s
        self.open_for_s = open_for_s
        self._breakers: dict[str, MemoryBreaker] = {}

    def breaker(self, host: str) -> MemoryBreaker:
        breaker = self._breakers.setdefault(host, MemoryBreaker(self._now_s))
        breaker.open_for_s = self.open_for_s
        return breaker


class MemoryBreaker:
    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self.open_for_s = OPEN_FOR_S
        self._failures = 0
        self._open_until_s: float | None = None
        self._probe_until_s = 0.0

    def wait_s(self) -> float:
        if self._open_until_s is None:
            return 0.0
        busy_until_s = max(self._open_until_s, self._probe_until_s)
        if self._now_s() < busy_until_s:
            return busy_until_s - self._now_s()
        self._probe_until_s = self._now_s() + PLACE_LIVES_S
        return 0.0

    def succeeded(self) -> None:
        self._failures, self._open_until_s, self._probe_until_s = 0, None, 0.0

    def failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES_TO_OPEN:
            self._open_until_s, self._probe_until_s = self._now_s() + self.open_for_s, 0.0
