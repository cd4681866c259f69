"""How fresh an account should be, by its matches: hourly near one, daily in season, weekly out of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    MATCH = "match"
    SEASON = "season"
    OFF_SEASON = "off season"


class Rules(Protocol):
    """`settings.scheduling.CadenceSettings`."""

    @property
    def match_target_s(self) -> float: ...

    @property
    def season_target_s(self) -> float: ...

    @property
    def off_season_target_s(self) -> float: ...

    @property
    def match_before_s(self) -> float: ...

    @property
    def match_after_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Cadence:
    """How old an account may become in its phase; `match_at` is the nearest match, aware UTC."""

    phase: Phase
    target: timedelta
    match_at: datetime | None = None

    @property
    def reason(self) -> str:
        """In a few words, for people."""
        at = f"{self.match_at:%a %d %b %H:%M} UTC" if self.match_at else ""
        return {
            Phase.MATCH: f"a match at {at}",
            Phase.SEASON: f"in season, the nearest match at {at}",
            Phase.OFF_SEASON: "out of season: no match near",
        }[self.phase]


def judge(matches: Sequence[datetime], now: datetime, rules: Rules) -> Cadence:
    """From the starts of the matches of the weeks around now, in any order."""
    if not matches:
        return Cadence(Phase.OFF_SEASON, timedelta(seconds=rules.off_season_target_s))
    nearest = min(matches, key=lambda at: abs(at - now))
    before, after = timedelta(seconds=rules.match_before_s), timedelta(seconds=rules.match_after_s)
    on = [at for at in matches if at - before <= now <= at + after]
    if on:
        return Cadence(Phase.MATCH, timedelta(seconds=rules.match_target_s), min(on))
    return Cadence(Phase.SEASON, timedelta(seconds=rules.season_target_s), nearest)
