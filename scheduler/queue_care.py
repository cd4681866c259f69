"""Looks after the queues: dead letters that nobody wants any more, and ledgers that must balance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Protocol

from brokers.states import Ledger
from scheduler.housework import Found
from settings.schema import RetentionSettings
from sync.ports import Clock


class DeadLetters(Protocol):
    def queue_names(self) -> Sequence[str]: ...

    def expire(self, queue: str, before_s: float) -> int:
        """Delete dead letters that died before a moment; how many."""
        ...


class Queues(Protocol):
    def queue_names(self) -> Sequence[str]: ...

    def ledger(self, name: str) -> Ledger: ...


class DeadLetterExpiry:
    def __init__(self, settings: Callable[[], RetentionSettings], letters: DeadLetters, clock: Clock) -> None:
        self._settings = settings
        self._letters = letters
        self._clock = clock

    def __call__(self, raise_if_not_leading: Callable[[], None]) -> Found:
        days = self._settings().dead_letters_days
        before = self._clock.now() - timedelta(days=days)
        expired: dict[str, int] = {}
        for name in self._letters.queue_names():
            raise_if_not_leading()
            if count := self._letters.expire(name, before.timestamp()):
                expired[name] = count
        if not expired:
            return Found(f"no dead letter is older than {days:g} days")
        said = ", ".join(f"{count} of {name}" for name, count in expired.items())
        return Found(f"deleted dead letters older than {days:g} days: {said}", changes=expired)


class LedgerCheck:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    def __call__(self, raise_if_not_leading: Callable[[], None]) -> Found:
        names = self._queues.queue_names()
        raise_if_not_leading()
        ledgers = {name: self._queues.ledger(name) for name in names}
        wrong = {name: ledger for name, ledger in ledgers.items() if not ledger.is_balanced}
        if not wrong:
            return Found(f"{len(names)} queues balance")
        said = "; ".join(f"{name}: {_difference(ledger)}" for name, ledger in wrong.items())
        return Found(f"does not balance: {said}", is_alarm=True)


def _difference(ledger: Ledger) -> str:
    here = ledger.waiting + ledger.delayed + ledger.leased + ledger.dead
    ended = ledger.done + ledger.coalesced + ledger.deleted
    lost = ledger.enqueued - here - ended
    return f"{abs(lost)} messages {'are lost' if lost > 0 else 'too many'} of {ledger.enqueued} enqueued"
