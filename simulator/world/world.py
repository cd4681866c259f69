"""The world that the simulator shows: associations made on demand, a day, and where a record is found."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from simulator.world import generation, playing
from simulator.world.fixtures import draw_grade
from simulator.world.ids import association_index, serial_number
from simulator.world.ladders import Table, compute_ladders
from simulator.world.model import Association, Club, Game, Grade, Round, Season, Team
from simulator.world.plans import AssociationPlan


class World:
    """Deterministic: the same plans, seed and first day, then the same changes, give the same records.

    An association is built when first asked for, a grade's draw likewise, so that a
    world of a thousand associations starts at once.
    """

    def __init__(self, plans: Sequence[AssociationPlan], *, seed: int, today: date) -> None:
        self.plans = tuple(plans)
        self.seed = seed
        self.first_day = today
        self.today = today
        self._associations: dict[int, Association] = {}
        self._draws: dict[str, list[Round]] = {}
        self._settled: dict[str, date] = {}
        self._versions: dict[int, int] = {}
        self._clubs: dict[int, list[Club]] = {}

    def advance(self, days: int) -> None:
        """Let days pass; games that are over get their results when next looked at.

        Raises ValueError for a day in the past: results are not taken back.
        """
        if days < 0:
            raise ValueError(f"the clock only goes forward, not by {days} days")
        self.today += timedelta(days=days)
        for index in range(len(self.plans)):
            self.touch(index)

    def version(self, index: int) -> int:
        """Grows whenever anything of the association may look different."""
        return self._versions.get(index, 0)

    def touch(self, index: int) -> None:
        self._versions[index] = self.version(index) + 1

    def associations(self) -> Iterator[Association]:
        return (self.association(index) for index in range(len(self.plans)))

    def association(self, index: int) -> Association:
        found = self._associations.get(index)
        if found is None:
            found = generation.build_association(
                self.seed, index, self.plans[index], self._clubs_in(index), self.first_day
            )
            self._associations[index] = found
        return found

    def associations_of(self, club: Club) -> list[Association]:
        """Where a club plays: at home, and perhaps as a guest next door."""
        home = club.home_association
        serial = serial_number(club.id) or 0
        indices = [home]
        if serial < self._guests(home + 1):
            indices.append(home + 1)
        return [self.association(index) for index in indices]

    def rounds(self, grade: Grade) -> list[Round]:
        """A grade's draw as it stands today."""
        rounds = self._draws.get(grade.id)
        if rounds is None:
            rounds = self._draws[grade.id] = draw_grade(grade)
        if self._settled.get(grade.id) != self.today:
            playing.settle(rounds, self.today)
            self._settled[grade.id] = self.today
        return rounds

    def games(self, grade: Grade) -> list[Game]:
        """The games of a grade that are shown."""
        return [game for round_ in self.rounds(grade) for game in round_.games if not game.is_hidden]

    def ladders(self, grade: Grade) -> list[Table]:
        return compute_ladders(grade, self.rounds(grade), self.today)

    def home_of(self, record_id: str) -> Association | None:
        """The association that a record of any kind belongs to."""
        index = association_index(record_id)
        return self.association(index) if index is not None and index < len(self.plans) else None

    def find_association(self, record_id: str) -> Association | None:
        association = self.home_of(record_id)
        return association if association and association.id == record_id else None

    def find_club(self, record_id: str) -> Club | None:
        index = association_index(record_id)
        if index is None or index >= len(self.plans):
            return None
        return next((club for club in self._home_clubs(index) if club.id == record_id), None)

    def find_season(self, record_id: str) -> Season | None:
        association = self.home_of(record_id)
        seasons = association.seasons if association else []
        return next((season for season in seasons if season.id == record_id), None)

    def find_grade(self, record_id: str) -> Grade | None:
        """A grade that is shown; a hidden one is not found."""
        return next((grade for grade in self._grades(record_id) if grade.id == record_id), None)

    def find_team(self, record_id: str) -> Team | None:
        association = self.home_of(record_id)
        seasons = association.seasons if association else []
        return next((team for season in seasons for team in season.teams if team.id == record_id), None)

    def find_game(self, record_id: str) -> Game | None:
        serial = serial_number(record_id)
        grades = (grade for grade in self._grades(record_id) if grade.serial == serial)
        return next((game for grade in grades for game in self.games(grade) if game.id == record_id), None)

    def _grades(self, record_id: str) -> Iterator[Grade]:
        association = self.home_of(record_id)
        seasons = association.seasons if association else []
        return (grade for season in seasons for grade in season.grades if not grade.is_hidden)

    def _home_clubs(self, index: int) -> list[Club]:
        if index not in self._clubs:
            self._clubs[index] = generation.build_clubs(self.seed, index, self.plans[index])
        return self._clubs[index]

    def _guests(self, index: int) -> int:
        """How many clubs of the association before `index` play there: only within one tenant."""
        if not 0 < index < len(self.plans) or self.plans[index].tenant != self.plans[index - 1].tenant:
            return 0
        return min(self.plans[index].guests, self.plans[index - 1].clubs)

    def _clubs_in(self, index: int) -> list[Club]:
        guests = self._home_clubs(index - 1)[: self._guests(index)] if index else []
        return [*self._home_clubs(index), *guests]
