"""When clubs and associations play: the starts of the stored games of some days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, or_, select

from stores.sql.engine import reading
from stores.sql.tables import games, grades, seasons, teams

# A game of several days may have begun before the first day that is asked for.
LONGEST_GAME = timedelta(days=7)
# Where no time is stored, most games are on.
USUAL_START = time(13)


class Matches:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def between(
        self, first: date, last: date, *, organisation_id: str | None = None
    ) -> Mapping[str, Sequence[datetime]]:
        """The starts of each playing day, aware UTC, by the ids of the clubs and the association."""
        home, away = teams.alias("home"), teams.alias("away")
        query = (
            select(
                games.c.days,
                home.c.club_id.label("home_club"),
                away.c.club_id.label("away_club"),
                seasons.c.association_id,
            )
            .join(grades, grades.c.id == games.c.grade_id)
            .join(seasons, seasons.c.id == grades.c.season_id)
            .outerjoin(home, home.c.id == games.c.home_id)
            .outerjoin(away, away.c.id == games.c.away_id)
            .where(
                games.c.first_day.between((first - LONGEST_GAME).isoformat(), last.isoformat()),
                games.c.removed_at.is_(None),
            )
        )
        if organisation_id is not None:
            plays = (home.c.club_id, away.c.club_id, seasons.c.association_id)
            query = query.where(or_(*(column == organisation_id for column in plays)))
        found: dict[str, set[datetime]] = defaultdict(set)
        span = (first.isoformat(), last.isoformat())
        with reading(self._engine) as connection:
            for row in connection.execute(query):
                starts = [_start(day) for day in row.days if span[0] <= day["day"] <= span[1]]
                if not starts:
                    continue
                for organisation in {row.home_club, row.away_club, row.association_id} - {None}:
                    found[organisation].update(starts)
        return {organisation: sorted(starts) for organisation, starts in found.items()}

    def near(self, organisation_id: str, now: datetime, *, days: int) -> Sequence[datetime]:
        """The starts of one organisation's matches, so many days before now and after."""
        around = timedelta(days=days)
        found = self.between((now - around).date(), (now + around).date(), organisation_id=organisation_id)
        return found.get(organisation_id, ())


def _start(day: Mapping[str, Any]) -> datetime:
    if day.get("utc"):
        return datetime.fromisoformat(day["utc"]).astimezone(UTC)
    at = time.fromisoformat(day["start"]) if day.get("start") else USUAL_START
    zone = ZoneInfo(day["zone"]) if day.get("zone") else UTC
    return datetime.combine(date.fromisoformat(day["day"]), at, zone).astimezone(UTC)
