"""Play-Cricket's numeric ids for the world's records, in both directions.

Leagues, clubs, teams, grounds and matches keep their numbers over the seasons; a
division has a new one every season.
"""

from __future__ import annotations

from collections import Counter

from simulator.world.ids import serial_number
from simulator.world.model import Association, Club, Game, Grade, Team

_FIRST_LEAGUE = 900
_FIRST_CLUB = 100_000
_CLUBS = 1_000
_DIVISIONS = 1_000
_TEAMS = 100_000
_MATCHES = 100_000_000
_GAMES_A_ROUND = 32
_GAMES_A_GRADE = 10_000


def league_id(association: Association) -> int:
    return _FIRST_LEAGUE + association.index


def league_index(site_id: int) -> int:
    return site_id - _FIRST_LEAGUE


def club_id(club: Club) -> int:
    return _FIRST_CLUB + club.home_association * _CLUBS + (serial_number(club.id) or 0)


def club_place(site_id: int) -> tuple[int, int]:
    """The index of the club's home association, and the club's place in it."""
    return divmod(site_id - _FIRST_CLUB, _CLUBS)


def division_id(grade: Grade) -> int:
    return (grade.season.association.index + 1) * _DIVISIONS + grade.serial


def division_place(number: int) -> tuple[int, int]:
    """The index of the association, and the serial number of the grade."""
    home, serial = divmod(number, _DIVISIONS)
    return home - 1, serial


def match_id(game: Game) -> int:
    place = game.round.number * _GAMES_A_ROUND + game.round.games.index(game)
    home = game.grade.season.association.index + 1
    return home * _MATCHES + game.grade.serial * _GAMES_A_GRADE + place


def match_place(number: int) -> tuple[int, int]:
    """The index of the association, and the serial number of the match's grade."""
    home, rest = divmod(number, _MATCHES)
    return home - 1, rest // _GAMES_A_GRADE


class TeamNumbers:
    """Numbers that last over the seasons: of a club's first, second, … side in a competition."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def team_id(self, team: Team) -> int:
        if team.id not in self._numbers:
            self._number(team.season.association)
        return self._numbers[team.id]

    def _number(self, association: Association) -> None:
        first = (association.index + 1) * _TEAMS
        known: dict[tuple[str, str, int], int] = {}
        for season in association.seasons:
            sides: Counter[str] = Counter()
            for team in season.teams:
                club = team.club.id if team.club else ""
                sides[club] += 1
                key = (season.competition_name, club, sides[club])
                self._numbers[team.id] = known.setdefault(key, first + len(known) + 1)
