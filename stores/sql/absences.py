"""Absences: on which days a complete listing lacked a game that is stored."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from sqlalchemy import Connection, Engine, bindparam, delete, func, select

from stores.sql.engine import reading, writing
from stores.sql.tables import absences
from stores.sql.upserts import chunked, insert_new

# Made once: asked for every grade of every sync, and making it costs as much as asking.
_ANY_OF = (
    select(absences.c.game_id).where(absences.c.game_id.in_(bindparam("game_ids", expanding=True))).limit(1)
)
_ALL = select(absences.c.game_id).distinct()


class Absences:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        """Count, per missing game, the different days on which it was missing.

        Present games are counted from zero again; days of doubtful listings count only for
        doubtful ones.
        """
        rows = [
            {"game_id": game_id, "day": day.isoformat(), "grade_id": grade_id, "is_doubtful": is_doubtful}
            for game_id in sorted(missing)
        ]
        if not rows and not self._are_any(present):
            # The usual night: nothing is missing, nothing was. Reading holds up no writer.
            return {}
        with writing(self._engine) as connection:
            for chunk in chunked(present):
                connection.execute(delete(absences).where(absences.c.game_id.in_(chunk)))
            insert_new(connection, absences, rows)
            return _count_days(connection, missing, is_doubtful=is_doubtful)

    def count(self, *, missing: Collection[str], day: date, is_doubtful: bool = False) -> Mapping[str, int]:
        """What `record` would answer on that day, recording nothing."""
        with reading(self._engine) as connection:
            counts = _count_days(connection, missing, before=day, is_doubtful=is_doubtful)
        return {game_id: counts.get(game_id, 0) + 1 for game_id in missing}

    def find_all(self, *, most: int) -> Collection[str] | None:
        """All games with a day of absence; None when they are more than `most`."""
        with reading(self._engine) as connection:
            found = connection.scalars(_ALL.limit(most + 1)).all()
        return set(found) if len(found) <= most else None

    def _are_any(self, game_ids: Collection[str]) -> bool:
        with reading(self._engine) as connection:
            return any(
                connection.execute(_ANY_OF, {"game_ids": chunk}).first() for chunk in chunked(game_ids)
            )


def _count_days(
    connection: Connection,
    game_ids: Collection[str],
    *,
    before: date | None = None,
    is_doubtful: bool,
) -> dict[str, int]:
    counted = select(absences.c.game_id, func.count().label("days")).group_by(absences.c.game_id)
    if before is not None:
        counted = counted.where(absences.c.day < before.isoformat())
    if not is_doubtful:
        counted = counted.where(absences.c.is_doubtful.is_(False))
    counts: dict[str, int] = {}
    for chunk in chunked(game_ids):
        rows = connection.execute(counted.where(absences.c.game_id.in_(chunk)))
        counts.update({row.game_id: row.days for row in rows})
    return counts
