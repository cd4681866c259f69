"""A provider of any shape that changes at random, within what a provider may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from random import Random

from sync.model import Ladder, LadderRow
from tests.fakes import World
from tests.unit.sync.engine import CLUBS, TODAY, game, game_day, grade, played, season, team

SEASONS = 3


class ChangingWorld:
    """Builds a world from `random` and changes it; numbers are never used twice."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.world = World()
        self._next = 0
        for number in range(1, random.randint(1, SEASONS) + 1):
            self.world.seasons[f"season-{number}"] = season(number, random.choice(["ACTIVE", "UPCOMING"]))
            for _ in range(random.randint(0, 3)):
                self.add_grade()

    def change(self) -> None:
        """One thing happens at the provider."""
        changes: list[Callable[[], None]] = [
            self.add_grade,
            self.add_game,
            self.add_game,
            self.play_game,
            self.move_game,
            self.regrade_game,
            self.drop_game,
            self.regrade_team,
            self.rename_team,
            self.lose_team_name,
            self.change_ladder,
            self.toggle_listing,
            self.toggle_hidden_grade,
        ]
        self.random.choice(changes)()

    def add_grade(self) -> None:
        seasons = sorted(self.world.seasons)
        added = grade(self._number(), self.random.choice(seasons))
        self.world.grades[added.id] = added
        for _ in range(self.random.randint(2, 4)):
            club = self.random.choice([*CLUBS, None])
            entered = team(self._number(), club=club, grade_id=added.id, season_id=added.season_id)
            self.world.teams[entered.id] = entered
        for _ in range(self.random.randint(0, 4)):
            self._add_game_in(added.id)

    def add_game(self) -> None:
        if self.world.grades:
            self._add_game_in(self.random.choice(sorted(self.world.grades)))

    def play_game(self) -> None:
        if game_id := self._any_game():
            self.world.games[game_id] = played(self.world.games[game_id])

    def move_game(self) -> None:
        if game_id := self._any_game():
            day = TODAY + timedelta(days=self.random.randint(-30, 30))
            self.world.games[game_id] = replace(self.world.games[game_id], days=(game_day(day),))

    def regrade_game(self) -> None:
        """A game goes to the grade of one of its teams, never to that of strangers."""
        if game_id := self._any_game():
            moved = self.world.games[game_id]
            teams = (self.world.teams[moved.home_id], self.world.teams[moved.away_id])
            if grade_ids := [team.grade_id for team in teams if team.grade_id is not None]:
                self.world.games[game_id] = replace(moved, grade_id=self.random.choice(grade_ids))

    def drop_game(self) -> None:
        if game_id := self._any_game():
            del self.world.games[game_id]

    def regrade_team(self) -> None:
        team_id = self._any_team()
        if team_id is not None:
            entered = self.world.teams[team_id]
            siblings = sorted(g.id for g in self.world.grades.values() if g.season_id == entered.season_id)
            grade_id = self.random.choice([*siblings, None])
            self.world.teams[team_id] = replace(entered, grade_id=grade_id)

    def rename_team(self) -> None:
        if team_id := self._any_team():
            self.world.teams[team_id] = replace(self.world.teams[team_id], name=f"Name {self._number()}")

    def lose_team_name(self) -> None:
        if team_id := self._any_team():
            self.world.teams[team_id] = replace(self.world.teams[team_id], name=None)

    def change_ladder(self) -> None:
        if self.world.grades:
            grade_id = self.random.choice(sorted(self.world.grades))
            teams = sorted(t.id for t in self.world.teams.values() if t.grade_id == grade_id)
            rows = tuple(
                LadderRow(position=n, team_id=team_id, values={"played": self.random.randint(0, 9)})
                for n, team_id in enumerate(teams, 1)
            )
            ladder = Ladder(grade_id=grade_id, type="overall", rows=rows)
            self.world.ladders[ladder.id] = ladder

    def toggle_listing(self) -> None:
        """The newest season drops out of the listing, or comes back; the first one never does."""
        season_id = self.random.choice(sorted(self.world.seasons))
        if season_id != "season-1":
            self.world.unlisted_season_ids ^= {season_id}

    def toggle_hidden_grade(self) -> None:
        if self.world.grades:
            self.world.hidden_ids ^= {self.random.choice(sorted(self.world.grades))}

    def _add_game_in(self, grade_id: str) -> None:
        season_id = self.world.grades[grade_id].season_id
        entered = sorted(t.id for t in self.world.teams.values() if t.season_id == season_id)
        home, away = self.random.sample(entered, 2)
        day = self.random.choice([None, TODAY + timedelta(days=self.random.randint(-60, 60))])
        added = game(self._number(), day=day, grade_id=grade_id)
        self.world.games[added.id] = replace(added, home_id=home, away_id=away)

    def _any_game(self) -> str | None:
        return self.random.choice(sorted(self.world.games)) if self.world.games else None

    def _any_team(self) -> str | None:
        return self.random.choice(sorted(self.world.teams)) if self.world.teams else None

    def _number(self) -> int:
        self._next += 1
        return self._next
