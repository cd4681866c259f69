"""The invented world's records.

Unlike the service's own they change in place, because this is the upstream; and two
are the same only if they are one object.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo


class Format(StrEnum):
    """How a grade plays; the value is PlayHQ's `type` of its games, MIXED alternates."""

    ONE_DAY = "oneDay"
    TWO_DAY = "twoDay"
    T20 = "t20"
    MIXED = "mixed"
    AFL = "afl"
    NETBALL = "netball"

    @property
    def has_innings(self) -> bool:
        return self not in (Format.AFL, Format.NETBALL)

    @property
    def weeks_a_round(self) -> int:
        return 2 if self is Format.TWO_DAY else 1


@dataclass(slots=True, eq=False)
class Club:
    id: str
    name: str
    home_association: int


@dataclass(slots=True, eq=False)
class Ground:
    """A playing surface and its venue. `is_text` venues send their numbers as text."""

    id: str
    name: str
    short_name: str
    venue_id: str
    venue_name: str
    zone: str
    suburb: str
    state: str
    country: str
    postcode: int
    latitude: float
    longitude: float
    is_text: bool = False


@dataclass(slots=True, eq=False)
class Team:
    id: str
    name: str
    season: Season
    club: Club | None
    grade: Grade | None
    created_at: datetime
    # Whether the season's team listing carries the name; it is optional there.
    is_named: bool = True


@dataclass(slots=True)
class Day:
    """One playing day: `start` is aware UTC."""

    start: datetime
    ground: Ground

    @property
    def local(self) -> datetime:
        return self.start.astimezone(ZoneInfo(self.ground.zone))


@dataclass(slots=True)
class Innings:
    """`number` counts the innings of the match from 1; `overs` 41.2 is 41 overs and 2 balls."""

    team_id: str
    number: int
    runs: int
    outs: int
    overs: float


@dataclass(slots=True)
class Score:
    """`behinds` is None in sports that have none."""

    goals: int
    behinds: int | None
    total: int


@dataclass(slots=True, eq=False)
class Pool:
    id: str
    name: str


@dataclass(slots=True, eq=False)
class Game:
    id: str
    grade: Grade
    round: Round
    home: Team
    away: Team
    kind: Format
    pool: Pool | None
    # When it is meant to be played; `days` stays empty until the draw is published.
    planned: list[Day]
    days: list[Day]
    created_at: datetime
    updated_at: datetime
    status: str = "UPCOMING"
    outcomes: dict[str, str] = field(default_factory=dict)
    innings: list[Innings] = field(default_factory=list)
    scores: dict[str, Score] = field(default_factory=dict)
    # Innings that were never played and yet are sent, all zero.
    placeholders: int = 0
    is_hidden: bool = False
    # What happens to it instead of ordinary play: forfeit, abandoned, …
    fate: str | None = None

    @property
    def last_day(self) -> date | None:
        return max((day.local.date() for day in self.days), default=None)

    def side(self, team_id: str) -> Team:
        return self.home if self.home.id == team_id else self.away


@dataclass(slots=True, eq=False)
class Round:
    id: str
    number: int
    day: date
    is_final: bool
    games: list[Game] = field(default_factory=list)
    byes: list[Team] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"Round {self.number}"


@dataclass(slots=True, eq=False)
class Grade:
    id: str
    serial: int
    name: str
    season: Season
    game_format: Format
    rounds_count: int
    pools_count: int
    is_junior: bool
    # Those who were drawn; a team that is re-graded later stays in the draw.
    entrants: list[Team] = field(default_factory=list)
    is_hidden: bool = False

    @property
    def has_ladder(self) -> bool:
        return not self.is_junior


@dataclass(slots=True, eq=False)
class Season:
    id: str
    name: str
    competition_id: str
    competition_name: str
    association: Association
    first_day: date
    last_day: date
    # Some seasons are only named by the registrations, some not in a club's own listing.
    is_listed: bool = True
    is_in_club_listings: bool = True
    grades: list[Grade] = field(default_factory=list)
    teams: list[Team] = field(default_factory=list)

    @property
    def published_at(self) -> datetime:
        """When its teams and draws were entered."""
        return datetime.combine(self.first_day - timedelta(days=40), time(2, 0), UTC)

    def status(self, today: date) -> str:
        if today < self.first_day:
            return "UPCOMING"
        return "COMPLETED" if today > self.last_day + timedelta(days=3) else "ACTIVE"


@dataclass(slots=True, eq=False)
class Association:
    seed: int
    index: int
    id: str
    name: str
    tenant: str
    sport: str
    zone: str
    clubs: list[Club]
    grounds: list[Ground]
    seasons: list[Season] = field(default_factory=list)
