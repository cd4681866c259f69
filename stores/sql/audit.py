"""The audit: who did what when, from every way in; lines are only ever appended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, insert, select

from stores.sql.engine import reading, writing
from stores.sql.paging import Page, cut_page, read_cursor
from stores.sql.tables import audit
from sync.ports import Clock

_NEWEST_FIRST = select(audit).order_by(audit.c.id.desc())


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One act; `source` is the way in: cli, api, dashboard, scheduler, reload."""

    id: int
    at: datetime
    actor: str
    source: str
    action: str
    subject: str | None
    detail: Mapping[str, Any]


class AuditLog:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def record(
        self, *, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> None:
        """Append one line; `detail` holds JSON values and no secrets."""
        self.append([self._row(actor, source, action, subject, detail)])

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Append lines in one transaction."""
        with writing(self._engine) as connection:
            connection.execute(insert(audit), list(rows))

    def _row(
        self, actor: str, source: str, action: str, subject: str | None, detail: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "at": self._clock.now(),
            "actor": actor,
            "source": source,
            "action": action,
            "subject": subject,
            "detail": dict(detail),
        }

    def list(self, *, limit: int, cursor: str | None = None, subject: str | None = None) -> Page[AuditEntry]:
        """Newest first, of everything or of one subject. Raises InvalidRequest for a foreign cursor."""
        query = _NEWEST_FIRST.limit(limit + 1)
        if subject is not None:
            query = query.where(audit.c.subject == subject)
        if cursor is not None:
            (position,) = read_cursor(cursor, tuple[int])
            query = query.where(audit.c.id < position)
        return cut_page(self._read(query), limit, lambda entry: (entry.id,))

    def about(self, subjects: Collection[str], *, limit: int) -> Sequence[AuditEntry]:
        """The newest lines about any of the subjects, newest first; one query."""
        return self._read(_NEWEST_FIRST.where(audit.c.subject.in_(subjects)).limit(limit))

    def _read(self, query: Select[Any]) -> Sequence[AuditEntry]:
        with reading(self._engine) as connection:
            return [AuditEntry(**row._asdict()) for row in connection.execute(query)]
