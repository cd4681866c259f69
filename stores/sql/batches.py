"""The batches: which accounts were asked for together, and over which window."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, select, tuple_

from stores.sql.engine import reading, writing
from stores.sql.paging import Page, cut_page, read_cursor
from stores.sql.tables import batches
from stores.sql.upserts import upsert
from sync.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Its runs carry its id; `filter` is as it was asked for."""

    id: str
    requested_at: datetime
    preset: str
    spread_s: float
    account_count: int
    filter: Mapping[str, Any] = field(default_factory=dict)


class Batches:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, batch: Batch) -> None:
        """Insert the batch or overwrite it."""
        with writing(self._engine) as connection:
            upsert(connection, batches, [asdict(batch)])

    def find(self, batch_id: str) -> Batch:
        """Raises NotFound."""
        with reading(self._engine) as connection:
            row = connection.execute(select(batches).where(batches.c.id == batch_id)).first()
        if row is None:
            raise NotFound(f"batch {batch_id} does not exist")
        return Batch(**row._asdict())

    def list(self, *, limit: int, cursor: str | None = None) -> Page[Batch]:
        """Newest first. Raises InvalidRequest for a foreign cursor."""
        query = select(batches).order_by(batches.c.requested_at.desc(), batches.c.id.desc()).limit(limit + 1)
        if cursor is not None:
            before = read_cursor(cursor, tuple[datetime, str])
            query = query.where(tuple_(batches.c.requested_at, batches.c.id) < before)
        with reading(self._engine) as connection:
            rows = connection.execute(query).all()
        found = [Batch(**row._asdict()) for row in rows]
        return cut_page(found, limit, lambda batch: (batch.requested_at, batch.id))
