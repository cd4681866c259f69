"""Single writes of many threads in one transaction, for a process that takes many requests.

A transaction costs more than the row in it. Whoever comes while one is being written goes
into the next one, together with everybody else who has come by then; each returns when its
own row is committed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Engine

from stores.sql.audit import AuditLog
from stores.sql.runs import Runs
from sync.ports import Clock
from sync.report import Run

T = TypeVar("T")


@dataclass(slots=True)
class _Entry(Generic[T]):
    item: T
    is_written: bool = False
    error: Exception | None = None


class GroupCommit(Generic[T]):
    """`write` stores all items of a call, or raises and has stored none."""

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        self._write = write
        self._waiting: list[_Entry[T]] = []
        self._door = threading.Lock()
        self._turn = threading.Lock()

    def submit(self, item: T) -> None:
        """Return when the item is stored. Raises what `write` raises."""
        entry = _Entry(item)
        with self._door:
            self._waiting.append(entry)
        with self._turn:
            if not entry.is_written:
                self._write_waiting()
        if entry.error is not None:
            raise entry.error

    def _write_waiting(self) -> None:
        with self._door:
            group, self._waiting = self._waiting, []
        try:
            self._write([entry.item for entry in group])
        except Exception as error:  # noqa: BLE001 handed to each of those who wait for it
            for entry in group:
                entry.error = error
        for entry in group:
            entry.is_written = True


class GroupedRuns(Runs):
    """Runs whose requests are written in groups."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._requests = GroupCommit(self.request_many)

    def request(self, run: Run) -> None:
        """Insert a queued run; repeatable, an existing one stays as it is."""
        self._requests.submit(run)


class GroupedAudit(AuditLog):
    """An audit whose lines are written in groups."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine, clock)
        self._lines: GroupCommit[Mapping[str, Any]] = GroupCommit(self.append)

    def record(
        self, *, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> None:
        """Append one line; `detail` holds JSON values and no secrets."""
        self._lines.submit(self._row(actor, source, action, subject, detail))
