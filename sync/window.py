"""The days a run looks at, computed once when it starts."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from sync.model import Game, Season

COMPLETED = "COMPLETED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`today` is local to `zone`; whatever ended before `first_day` is history."""

    today: date
    first_day: date
    zone: ZoneInfo

    @classmethod
    def at(cls, now: datetime, *, zone: str, look_back_days: int) -> Window:
        """The window of a run that starts at `now` (aware)."""
        local_zone = ZoneInfo(zone)
        today = now.astimezone(local_zone).date()
        return cls(today=today, first_day=today - timedelta(days=look_back_days), zone=local_zone)

    def keeps(self, season: Season, extra_season_ids: Collection[str] = ()) -> bool:
        """Whether a run reads the season's grades, teams and games.

        A completed season is read while its last game is recent. While its days are
        unknown, its record's age decides, and one of unknown age is read.
        """
        if season.id in extra_season_ids or not is_completed(season):
            return True
        if season.last_day is not None:
            return season.last_day >= self.first_day
        if season.updated_at is not None:
            return season.updated_at.astimezone(self.zone).date() >= self.first_day
        return True

    def may_remove(self, game: Game) -> bool:
        """Only future and recent games; history is never cleaned."""
        return game.last_day is None or game.last_day >= self.first_day


def is_completed(season: Season) -> bool:
    return season.status.upper() == COMPLETED
