"""When a process is killed, and what its death must not have left behind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, func, select

from simulator.app import Simulator
from simulator.server import Answer, Request
from stores.sql.tables import changes, games


@dataclass
class At:
    """The n-th time that `what` happens, in the process that is to be killed."""

    what: str
    count: int = 1
    left: int = 0

    def happens(self) -> bool:
        self.left -= 1
        return self.left == 0


class Asked(At):
    """When the simulator is asked for an address that matches; the answer never arrives."""


class WatchedSimulator(Simulator):
    """Strikes when it is asked for something; counts what was asked for."""

    strike: Callable[[], None] | None = None
    at: Asked | None = None
    asked: Counter[str]
    when_asked: Callable[[int], None] | None = None

    def handle(self, request: Request) -> Answer:
        if not request.path.startswith("/_simulator"):
            self.asked[request.target] += 1
            if self.when_asked:
                self.when_asked(self.asked.total())
            if self.at and self.strike and re.search(self.at.what, request.path) and self.at.happens():
                self.strike()
        return super().handle(request)


def removed(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(select(games.c.id).where(games.c.removed_at.is_not(None))))


def created_twice(engine: Engine) -> list[Any]:
    query = (
        select(changes.c.kind, changes.c.record_id)
        .where(changes.c.is_applied, changes.c.action == "created")
        .group_by(changes.c.kind, changes.c.record_id)
        .having(func.count() > 1)
    )
    with engine.connect() as connection:
        return list(connection.execute(query))
