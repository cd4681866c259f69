"""Runs and audit lines of a process that notes many at once: all of them in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, insert

from stores.sql.audit import AuditLog
from stores.sql.engine import writing
from stores.sql.runs import Runs, run_row
from stores.sql.tables import audit, runs
from stores.sql.upserts import insert_new
from sync.ports import Clock
from sync.report import Run


class _Rows:
    """What a thread has gathered."""

    def __init__(self) -> None:
        self.runs: list[Mapping[str, Any]] = []
        self.lines: list[Mapping[str, Any]] = []


class _OfThisThread(threading.local):
    gathered: _Rows | None = None


class Gathered:
    """`runs` and `audit` write at once, and inside `gathering` together at its end."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._here = _OfThisThread()
        self.runs = _GatheredRuns(engine, self._here)
        self.audit = _GatheredAudit(engine, clock, self._here)

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What this thread notes inside is written at the end, whatever happened by then."""
        rows = self._here.gathered = _Rows()
        try:
            yield
        finally:
            self._here.gathered = None
            if rows.runs or rows.lines:
                self._write(rows)

    def _write(self, rows: _Rows) -> None:
        with writing(self._engine) as connection:
            insert_new(connection, runs, rows.runs)
            if rows.lines:
                connection.execute(insert(audit), rows.lines)


class _GatheredRuns(Runs):
    def __init__(self, engine: Engine, here: _OfThisThread) -> None:
        super().__init__(engine)
        self._here = here

    def request_many(self, requested: Sequence[Run]) -> None:
        """As `request`, many in one transaction."""
        if self._here.gathered is None:
            super().request_many(requested)
        else:
            self._here.gathered.runs += [run_row(run) for run in requested]


class _GatheredAudit(AuditLog):
    def __init__(self, engine: Engine, clock: Clock, here: _OfThisThread) -> None:
        super().__init__(engine, clock)
        self._here = here

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append lines in one transaction."""
        if self._here.gathered is None:
            super().append(rows)
        else:
            self._here.gathered.lines += rows
