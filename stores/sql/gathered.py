"""The audit of a process that notes many acts at once: their lines in one transaction."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine

from stores.sql.audit import AuditLog
from sync.ports import Clock


class _Lines(threading.local):
    gathered: list[Mapping[str, Any]] | None = None


class GatheredAudit(AuditLog):
    """An audit whose lines can be gathered."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        super().__init__(engine, clock)
        self._of_this_thread = _Lines()

    @contextmanager
    def gathering(self) -> Iterator[None]:
        """What this thread records inside is written together at the end, whatever happened by then."""
        lines: list[Mapping[str, Any]] = []
        self._of_this_thread.gathered = lines
        try:
            yield
        finally:
            self._of_this_thread.gathered = None
            if lines:
                self.append(lines)

    def record(
        self, *, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> None:
        """Append one line; `detail` holds JSON values and no secrets."""
        row = self._row(actor, source, action, subject, detail)
        if self._of_this_thread.gathered is None:
            self.append([row])
        else:
            self._of_this_thread.gathered.append(row)
