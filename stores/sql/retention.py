"""Deletes old rows, a few thousand a call, so that other writers get their turn between."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ColumnElement, Engine, delete, select

from stores.sql.engine import writing
from stores.sql.tables import audit, changes, incidents, notices, refusals, runs
from sync.report import RunState

ROWS_A_CALL = 2000
OPEN_STATES = [state.value for state in RunState if not state.is_final]


class OldRows:
    """Each method answers how many rows it deleted; 0 when none are left."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def delete_runs(self, before: datetime) -> int:
        """Runs that have ended."""
        is_old = (runs.c.requested_at < before) & runs.c.state.not_in(OPEN_STATES)
        return self._delete(runs.c.id, is_old, runs.c.requested_at)

    def delete_changes(self, before: datetime) -> int:
        return self._delete_oldest(changes.c.id, changes.c.at, before)

    def delete_refusals(self, before: datetime) -> int:
        """Changes that a CMS refused and nobody had tried again."""
        with writing(self._engine) as connection:
            return connection.execute(delete(refusals).where(refusals.c.refused_at < before)).rowcount

    def delete_notices(self, before: datetime) -> int:
        """Notices that were told, or need not be."""
        is_old = (notices.c.created_at < before) & notices.c.settled_at.is_not(None)
        return self._delete(notices.c.id, is_old, notices.c.created_at)

    def delete_incidents(self, before: datetime) -> int:
        """Incidents that are over."""
        return self._delete(incidents.c.id, incidents.c.resolved_at < before, incidents.c.resolved_at)

    def delete_audit(self, before: datetime) -> int:
        return self._delete_oldest(audit.c.id, audit.c.at, before)

    def _delete(self, key: Column[str], is_old: ColumnElement[bool], order: Column[datetime]) -> int:
        oldest = select(key).where(is_old).order_by(order).limit(ROWS_A_CALL)
        with writing(self._engine) as connection:
            return connection.execute(delete(key.table).where(key.in_(oldest.scalar_subquery()))).rowcount

    def _delete_oldest(self, key: Column[int], at: Column[datetime], before: datetime) -> int:
        # Rows with a serial number are in the order of their time, which has no index of its own.
        first = select(key, at).order_by(key).limit(ROWS_A_CALL)
        with writing(self._engine) as connection:
            old = [row.id for row in connection.execute(first) if row.at < before]
            if old:
                connection.execute(delete(key.table).where(key <= old[-1], at < before))
            return len(old)
