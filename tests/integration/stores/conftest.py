"""The SQL stores over a migrated database, once of each kind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from stores.sql.stores import SqlStores, open_stores

NOW = datetime(2031, 10, 20, 9, 30, 0, 123456, tzinfo=UTC)


class SteppingClock:
    """A second later at each look."""

    def __init__(self) -> None:
        self._looks = -1

    def now(self) -> datetime:
        self._looks += 1
        return NOW + timedelta(seconds=self._looks)


@pytest.fixture
def stores(engine: Engine) -> SqlStores:
    return open_stores(engine, SteppingClock())
