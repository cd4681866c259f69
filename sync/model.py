"""The domain's records: what a provider publishes and what a CMS stores.

Identifiers are the provider's own, for PlayHQ lower-case UUIDs. Codes that the
provider may extend (status, type, outcome) stay text, exactly as it sent them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum


class OrganisationKind(StrEnum):
    CLUB = "club"
    ASSOCIATION = "association"


class RecordKind(StrEnum):
    SEASON = "season"
    GRADE = "grade"
    TEAM = "team"
    GAME = "game"
    LADDER = "ladder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Organisation:
    """A club or an association, as the provider knows it."""

    id: str
    kind: OrganisationKind
    provider: str
    name: str | None = None
    # Of a club: the associations it plays in; empty until given or learned.
    association_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A paying customer: points at one organisation of its own kind."""

    id: int
    name: str
    organisation: Organisation
    tags: tuple[str, ...] = ()
    # What the customer pays for, as the operator names it.
    plan: str | None = None
    is_setup: bool = False
    is_updating: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """One running of a competition. Days come from its games; providers send none."""

    id: str
    name: str
    status: str
    competition_id: str | None
    competition_name: str | None
    association_id: str
    association_name: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    # Whose its id is, noted when it is stored; no difference between two records.
    provider: str | None = field(default=None, compare=False)
    # A hint for windows, never compared nor stored.
    updated_at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grade:
    """A division inside a season; days span its complete fixture, whoever fetched it."""

    id: str
    name: str
    season_id: str
    url: str | None = None
    first_day: date | None = None
    last_day: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """A side entered in a season; without a grade until the association places it."""

    id: str
    name: str | None
    season_id: str
    club_id: str | None = None
    club_name: str | None = None
    grade_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GameDay:
    """One playing day; `day` and `start` are local to the ground, `utc` is aware."""

    day: date
    start: time | None = None
    utc: datetime | None = None
    zone: str | None = None
    ground: str | None = None
    venue: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Innings:
    """A batting innings that was played; `overs` 41.2 means 41 overs and 2 balls."""

    team_id: str
    number: int
    runs: int | None = None
    outs: int | None = None
    overs: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Points:
    """A score of sports that count goals or points instead of innings."""

    goals: int | None = None
    behinds: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Game:
    """Two teams, a round, one or more playing days; keeps its id when moved."""

    id: str
    grade_id: str
    round: str | None
    status: str
    type: str | None
    home_id: str
    away_id: str
    days: tuple[GameDay, ...] = ()
    outcomes: Mapping[str, str] = field(default_factory=dict)
    innings: tuple[Innings, ...] = ()
    points: Mapping[str, Points] = field(default_factory=dict)
    url: str | None = None

    @property
    def first_day(self) -> date | None:
        return min((day.day for day in self.days), default=None)

    @property
    def last_day(self) -> date | None:
        return max((day.day for day in self.days), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LadderRow:
    """A team's place; `values` holds the administrator's columns by key."""

    position: int
    team_id: str
    values: Mapping[str, int | float | str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """A ranking of a grade's teams; a grade has one for each game type and pool."""

    grade_id: str
    type: str | None = None
    pool_id: str | None = None
    rows: tuple[LadderRow, ...] = ()

    @property
    def id(self) -> str:
        return f"{self.grade_id}:{self.type or ''}:{self.pool_id or ''}"


Record = Season | Grade | Team | Game | Ladder


def parent_id_of(record: Record) -> str:
    """The id of the record that this one is listed under: an association, a season or a grade."""
    match record:
        case Season():
            return record.association_id
        case Grade() | Team():
            return record.season_id
        case Game() | Ladder():
            return record.grade_id
