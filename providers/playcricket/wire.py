"""The envelopes of Play-Cricket's API v3; what is inside is read record by record.

Source: england-and-wales-cricket-board/play-cricket-api-docs, April 2026.
"""

from __future__ import annotations

from typing import Any

from providers.envelope import Envelope
from providers.payload import truth


class Page(Envelope, kw_only=True):
    """A page of matches or results.

    Raises ValueError, which msgspec tells as a broken contract, for what is neither an end nor none.
    """

    data: list[Any]
    # Booleans come as text in places.
    has_next_page: bool | str | int

    def __post_init__(self) -> None:
        Envelope.__post_init__(self)
        said = truth(self.has_next_page)
        if said is None:
            raise ValueError("`has_next_page` is neither true nor false")
        self.has_next_page = said


class Leagues(Envelope, kw_only=True):
    leagues: list[Any]


class Competitions(Envelope, kw_only=True):
    """Divisions or cups of a league in a season."""

    competitions: list[Any]


class CompetitionTeams(Envelope, kw_only=True):
    competition_teams: list[Any]


class LeagueTables(Envelope, kw_only=True):
    league_table: list[Any]
