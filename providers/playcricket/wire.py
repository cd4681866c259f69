"""The envelopes of Play-Cricket's API v3; what is inside is read record by record.

Source: england-and-wales-cricket-board/play-cricket-api-docs, April 2026.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Page(msgspec.Struct):
    """A page of matches or results."""

    data: list[Any]
    # Booleans come as text in places.
    has_next_page: bool | str

    @property
    def has_more(self) -> bool:
        return self.has_next_page is True or str(self.has_next_page).lower() in ("true", "yes")


class Leagues(msgspec.Struct):
    leagues: list[Any]


class Competitions(msgspec.Struct):
    """Divisions or cups of a league in a season."""

    competitions: list[Any]


class CompetitionTeams(msgspec.Struct):
    competition_teams: list[Any]


class LeagueTables(msgspec.Struct):
    league_table: list[Any]
