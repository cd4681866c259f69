"""What a sync of each account costs its provider: the requests of its last run."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine, select

from stores.sql.engine import reading
from stores.sql.tables import accounts, runs
from sync.report import RunState


class Costs:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def requests(self) -> Mapping[int, int]:
        """Requests that the last good run of each account sent; no entry for one without."""
        last = (
            select(runs.c.requests)
            .where(
                runs.c.account_id == accounts.c.id,
                runs.c.state == RunState.SUCCEEDED.value,
                runs.c.dry_run.is_(False),
            )
            .order_by(runs.c.requested_at.desc())
            .limit(1)
            .correlate(accounts)
            .scalar_subquery()
        )
        with reading(self._engine) as connection:
            rows = connection.execute(select(accounts.c.id, last.label("requests"))).all()
        return {row.id: row.requests.get("sent", 0) for row in rows if row.requests is not None}
