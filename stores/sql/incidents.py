"""Problems that somebody should know of, from the first look that saw one until it is over."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Engine, delete, select, tuple_

from stores.sql.engine import reading, writing
from stores.sql.paging import Page, cut_page, read_cursor
from stores.sql.tables import incidents
from stores.sql.upserts import upsert
from sync.causes import Party
from sync.errors import NotFound
from sync.incident import Alert, Incident, Severity


class Incidents:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def current(self) -> Sequence[Incident]:
        """Those that are not over, suspected ones too, the oldest first."""
        # Not "is not null", for which SQLite would walk all that are over.
        query = select(incidents).where(incidents.c.open_key > "")
        with reading(self._engine) as connection:
            found = [_incident(row) for row in connection.execute(query)]
        return sorted(found, key=lambda incident: incident.first_seen_at)

    def is_open(self, key: str) -> bool:
        """Whether an incident of this subject is open and will tell of its failures."""
        query = select(incidents.c.id).where(incidents.c.open_key == key, incidents.c.opened_at.is_not(None))
        with reading(self._engine) as connection:
            return connection.scalar(query) is not None

    def latest_over(self, key: str, *, since: datetime) -> Incident | None:
        """The last incident of this subject, if it ended after `since`."""
        query = (
            select(incidents)
            .where(incidents.c.key == key, incidents.c.resolved_at >= since)
            .order_by(incidents.c.resolved_at.desc())
            .limit(1)
        )
        with reading(self._engine) as connection:
            row = connection.execute(query).first()
        return _incident(row) if row else None

    def find(self, incident_id: str) -> Incident:
        """Raises NotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(select(incidents).where(incidents.c.id == incident_id)).first()
        if row is None:
            raise NotFound(f"incident {incident_id} does not exist")
        return _incident(row)

    def save(self, incident: Incident) -> None:
        """Insert or overwrite."""
        row = {
            "id": incident.id,
            "key": incident.key,
            "open_key": None if incident.resolved_at else incident.key,
            "severity": incident.severity.value,
            "title": incident.title,
            "party": incident.party.value if incident.party else None,
            "alerts": msgspec.to_builtins(incident.alerts),
            "count": incident.count,
            "flaps": incident.flaps,
            "revision": incident.revision,
            "first_seen_at": incident.first_seen_at,
            "opened_at": incident.opened_at,
            "seen_at": incident.seen_at,
            "told_at": incident.told_at,
            "resolved_at": incident.resolved_at,
        }
        with writing(self._engine) as connection:
            upsert(connection, incidents, [row])

    def drop(self, incident_id: str) -> None:
        """Forget a suspicion that came to nothing."""
        with writing(self._engine) as connection:
            connection.execute(delete(incidents).where(incidents.c.id == incident_id))

    def list(self, *, limit: int, cursor: str | None = None, open_only: bool = False) -> Page[Incident]:
        """Opened ones, the latest first. Raises InvalidRequest for a foreign cursor."""
        query = select(incidents).where(incidents.c.opened_at.is_not(None))
        if open_only:
            query = query.where(incidents.c.open_key.is_not(None))
        if cursor is not None:
            before = read_cursor(cursor, tuple[datetime, str])
            query = query.where(tuple_(incidents.c.opened_at, incidents.c.id) < before)
        query = query.order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit + 1)
        with reading(self._engine) as connection:
            found = [_incident(row) for row in connection.execute(query)]
        return cut_page(found, limit, lambda one: (one.opened_at, one.id))


def _incident(row: Any) -> Incident:
    fields = row._asdict()
    del fields["open_key"]
    fields["alerts"] = msgspec.convert(row.alerts, tuple[Alert, ...])
    fields["severity"] = Severity(row.severity)
    fields["party"] = Party(row.party) if row.party else None
    return Incident(**fields)
