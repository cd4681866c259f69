"""Fences in SQL: a writer whose lease has passed on is refused in its own transaction."""

from __future__ import annotations

from sqlalchemy import Connection

from stores.sql.tables import fences
from stores.sql.upserts import conflicting_insert
from sync.errors import LeaseLost
from sync.ports import Fence

_RETRY_AFTER_S = 5.0


def check_fence(connection: Connection, fence: Fence) -> None:
    """Lock the fence's row and remember its token. Raises LeaseLost when a later one has written."""
    statement = conflicting_insert(connection.dialect.name, fences).values(key=fence.key, token=fence.token)
    statement = statement.on_conflict_do_update(
        index_elements=[fences.c.key],
        set_={"token": statement.excluded.token},
        where=fences.c.token <= statement.excluded.token,
    ).returning(fences.c.token)
    if connection.execute(statement).first() is None:
        raise LeaseLost(f"a later run has written to {fence.key}", retry_after_s=_RETRY_AFTER_S)
