"""What identifies Play-Cricket's records here, where its own numbers do not suffice.

A season is a year there, in every league the same; here it is a league's year. A team keeps
its number in a cup beside its division; here it has a record in each, so that the grades a
club plays in can be told from its teams.
"""

from __future__ import annotations

from dataclasses import dataclass

from sync.errors import InvalidRequest


@dataclass(frozen=True, slots=True)
class LeagueYear:
    """One season of a league."""

    league_id: str
    year: str

    @property
    def season_id(self) -> str:
        return f"{self.league_id}-{self.year}"


@dataclass(frozen=True, slots=True)
class Competition:
    """A division or a cup; both have a new number every season."""

    id: str
    is_cup: bool


def league_year(season_id: str) -> LeagueYear:
    """The league and year of a season's id. Raises InvalidRequest for any other text."""
    league_id, _, year = season_id.rpartition("-")
    if not league_id or not year.isdigit():
        raise InvalidRequest(f"{season_id} is no season of Play-Cricket: LEAGUE-YEAR was expected")
    return LeagueYear(league_id, year)


def team_record_id(team_id: str, competition: Competition) -> str:
    """The team's number, in a cup with the cup's."""
    return f"{team_id}-{competition.id}" if competition.is_cup else team_id
