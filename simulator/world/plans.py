"""What an association is going to be: plans, cheap to hold by the thousand."""

from __future__ import annotations

from dataclasses import dataclass

from simulator.world.model import Format

ZONES = ("Australia/Sydney", "Australia/Melbourne", "Australia/Perth", "Australia/Brisbane")


@dataclass(frozen=True, slots=True, kw_only=True)
class GradePlan:
    name: str
    teams: int
    rounds: int
    game_format: Format = Format.ONE_DAY
    # Juniors have no ladder.
    is_junior: bool = False
    pools: int = 1
    is_hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonPlan:
    """`starts_in_weeks` counts from the world's first day; `lasts_weeks` is needed without grades."""

    competition: str
    starts_in_weeks: int
    grades: tuple[GradePlan, ...] = ()
    lasts_weeks: int = 0
    ungraded_teams: int = 0
    is_listed: bool = True
    is_in_club_listings: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class AssociationPlan:
    """`guests` clubs of the association before it play here too."""

    tenant: str = "ca"
    sport: str = "cricket"
    zone: str = ZONES[0]
    clubs: int
    guests: int = 0
    seasons: tuple[SeasonPlan, ...]
    # One team of each season belongs to no club.
    has_clubless_team: bool = False
