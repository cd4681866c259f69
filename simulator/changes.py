"""Changes on demand: what a provider's people do between two syncs, answered as a diff."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeVar

from simulator import truth
from simulator.differences import Snapshot, clubs_that_see, differences, take_snapshot
from simulator.world import playing
from simulator.world.ids import make_id
from simulator.world.model import Association, Club, Day, Game, Grade, Season, Team
from simulator.world.world import World

T = TypeVar("T")
R = TypeVar("R", Grade, Team, Game)

# Steps through the candidates, so that the same change twice meets two records.
_STRIDE = 7


@dataclass(frozen=True, slots=True)
class _Scope:
    """Where a change may happen; `record_id` names the record itself."""

    association: Association
    club: Club | None
    record_id: str | None


class NothingToChangeError(ValueError):
    """No record fits: a wrong id, or none left in the state that the change needs."""


class Changes:
    def __init__(self, world: World) -> None:
        self._world = world
        self._count = 0
        # By association: the version of the world that they show, and a snapshot of each season.
        self._taken: dict[int, tuple[int, Mapping[str, Snapshot]]] = {}
        # Each answers the grade that it changed, or the season of what belongs to no grade.
        self._kinds: dict[str, Callable[[_Scope], Grade | Season]] = {
            "result": self._result,
            "correction": self._correction,
            "move": self._move,
            "ground": self._ground,
            "cancel": self._cancel,
            "add_game": self._add_game,
            "remove_game": self._remove_game,
            "restore_game": self._restore_game,
            "hide_grade": self._hide_grade,
            "show_grade": self._show_grade,
            "rename_grade": self._rename_grade,
            "rename_team": self._rename_team,
            "regrade": self._regrade,
        }

    @property
    def kinds(self) -> list[str]:
        return list(self._kinds)

    def apply(
        self, kind: str, *, record_id: str | None = None, organisation_id: str | None = None
    ) -> dict[str, Any]:
        """Change one record, the named one or one chosen in turn, and answer what looks different.

        The answer: `kind`, `changes[{record id action fields{name: [before, after]}}]`, and the
        `associations` and `clubs` whose sync sees it. Raises NothingToChangeError.
        """
        if kind not in self._kinds:
            raise NothingToChangeError(f"unknown kind {kind!r}; there is {', '.join(self._kinds)}")
        scope = self._scope(record_id, organisation_id)
        before = self._snapshots(scope.association)
        changed = self._kinds[kind](scope)
        self._count += 1
        self._world.touch(scope.association.index)
        season, grade = (changed.season, changed) if isinstance(changed, Grade) else (changed, None)
        after = take_snapshot(self._world, season, earlier=before[season.id], changed=grade)
        self._taken[scope.association.index] = (
            self._world.version(scope.association.index),
            {**before, season.id: after},
        )
        found = list(differences(before[season.id], after))
        return {
            "kind": kind,
            "changes": found,
            "associations": [season.association.id],
            "clubs": clubs_that_see(self._world, season, found),
        }

    def _snapshots(self, association: Association) -> Mapping[str, Snapshot]:
        """Of its seasons as they are now; those taken after the last change, if nothing else happened."""
        version, taken = self._taken.get(association.index, (None, {}))
        if version == self._world.version(association.index):
            return taken
        return {season.id: take_snapshot(self._world, season) for season in association.seasons}

    def _scope(self, record_id: str | None, organisation_id: str | None) -> _Scope:
        world = self._world
        if organisation_id:
            club = world.find_club(organisation_id)
            association = world.find_association(organisation_id)
            if club:
                association = world.associations_of(club)[0]
            if association is None:
                raise NothingToChangeError(f"there is no organisation {organisation_id}")
            return _Scope(association, club, record_id)
        if record_id is None:
            return _Scope(world.association(0), None, None)
        found = world.home_of(record_id)
        if found is None:
            raise NothingToChangeError(f"there is no record {record_id}")
        return _Scope(found, None, record_id)

    def _result(self, scope: _Scope) -> Grade:
        """The oldest unplayed game is played, overdue ones first."""
        waiting = [game for game in self._games(scope) if game.status == "UPCOMING" and game.days]
        waiting.sort(key=lambda game: (game.days[-1].start, game.id))
        game = self._pick(waiting[:1], "upcoming game")
        game.fate = None
        playing.play(game)
        return game.grade

    def _correction(self, scope: _Scope) -> Grade:
        """A played game's first innings or score gets one more."""
        game = self._pick([game for game in self._games(scope) if game.innings or game.scores], "played game")
        if game.innings:
            game.innings[0].runs += 1
        for score in list(game.scores.values())[:1]:
            # A behind is worth one, and so is a goal where there are no behinds.
            score.total += 1
            if score.behinds is None:
                score.goals += 1
            else:
                score.behinds += 1
        return self._edited(game)

    def _move(self, scope: _Scope) -> Grade:
        """An upcoming game is played a week later, at the same local time."""
        game = self._pick(self._upcoming(scope), "upcoming game")
        game.days = game.planned = [_later(day, days=7) for day in game.days]
        return self._edited(game)

    def _ground(self, scope: _Scope) -> Grade:
        game = self._pick(self._upcoming(scope), "upcoming game")
        grounds = scope.association.grounds
        other = grounds[(grounds.index(game.days[0].ground) + 1) % len(grounds)]
        game.days = game.planned = [Day(day.start, other) for day in game.days]
        return self._edited(game)

    def _cancel(self, scope: _Scope) -> Grade:
        game = self._pick(self._upcoming(scope), "upcoming game")
        game.status = "CANCELLED"
        return self._edited(game)

    def _add_game(self, scope: _Scope) -> Grade:
        """A rematch of an upcoming game's sides is added to its round, two weeks later."""
        model = self._pick(self._upcoming(scope), "upcoming game")
        days = [_later(day, days=14) for day in model.days]
        owner = scope.association
        added = Game(
            id=make_id(
                owner.seed, "added", model.id, self._count, association=owner.index, serial=model.grade.serial
            ),
            grade=model.grade,
            round=model.round,
            home=model.away,
            away=model.home,
            kind=model.kind,
            pool=model.pool,
            planned=days,
            days=days,
            created_at=self._now(),
            updated_at=self._now(),
        )
        model.round.games.append(added)
        return model.grade

    def _remove_game(self, scope: _Scope) -> Grade:
        game = self._pick(self._upcoming(scope), "upcoming game")
        game.is_hidden = True
        return self._edited(game)

    def _restore_game(self, scope: _Scope) -> Grade:
        hidden = [game for game in self._games(scope, is_hidden=True) if game.is_hidden]
        game = self._pick(hidden, "removed game")
        game.is_hidden = False
        return self._edited(game)

    def _hide_grade(self, scope: _Scope) -> Grade:
        grade = self._pick([grade for grade in self._grades(scope) if not grade.is_hidden], "grade")
        grade.is_hidden = True
        return grade

    def _show_grade(self, scope: _Scope) -> Grade:
        grade = self._pick([grade for grade in self._grades(scope) if grade.is_hidden], "hidden grade")
        grade.is_hidden = False
        return grade

    def _rename_grade(self, scope: _Scope) -> Grade:
        grade = self._pick([grade for grade in self._grades(scope) if not grade.is_hidden], "grade")
        grade.name = f"{grade.name} (Shield)"
        return grade

    def _rename_team(self, scope: _Scope) -> Season:
        team = self._pick([team for team in self._teams(scope) if team.is_named], "named team")
        team.name = f"{team.name} Blue"
        return team.season

    def _regrade(self, scope: _Scope) -> Season:
        """A team goes to another grade of its season; its games stay where they are.

        Chosen so that its club has other sides in both grades, where that is possible:
        then the club's own sync sees the one team change and nothing else.
        """
        moves = [
            (team, grade)
            for team in self._teams(scope)
            if team.grade and not team.grade.is_hidden
            for grade in team.season.grades
            if grade is not team.grade and not grade.is_hidden
        ]
        quiet = [move for move in moves if _is_quiet(*move)]
        team, grade = self._pick(quiet or moves, "graded team with another grade in its season")
        team.grade = grade
        return team.season

    def _edited(self, game: Game) -> Grade:
        game.updated_at = self._now()
        return game.grade

    def _now(self) -> datetime:
        """A moment of the world's day, later with each change."""
        noon = datetime.combine(self._world.today, time(12), UTC)
        return noon + timedelta(seconds=self._count)

    def _seasons(self, scope: _Scope) -> list[Season]:
        """Only what a sync looks at."""
        world = self._world
        return [
            season
            for season in scope.association.seasons
            if truth.is_kept(world, season, truth.LOOK_BACK_DAYS)
        ]

    def _grades(self, scope: _Scope) -> list[Grade]:
        grades = [grade for season in self._seasons(scope) for grade in season.grades]
        if scope.club:
            held = {id(team.grade) for team in self._teams(scope)}
            grades = [grade for grade in grades if id(grade) in held]
        return _named(grades, scope.record_id)

    def _teams(self, scope: _Scope) -> list[Team]:
        teams = [team for season in self._seasons(scope) for team in season.teams]
        if scope.club:
            teams = [team for team in teams if team.club is scope.club]
        return _named(teams, scope.record_id)

    def _games(self, scope: _Scope, *, is_hidden: bool = False) -> list[Game]:
        games = [
            game
            for season in self._seasons(scope)
            for grade in season.grades
            if not grade.is_hidden
            for round_ in self._world.rounds(grade)
            for game in round_.games
            if game.is_hidden == is_hidden
        ]
        if scope.club:
            games = [game for game in games if truth.has_team(game, scope.club)]
        return _named(games, scope.record_id)

    def _upcoming(self, scope: _Scope) -> list[Game]:
        """Games ahead, the nearest first."""
        today = self._world.today
        ahead = [
            game
            for game in self._games(scope)
            if game.status == "UPCOMING" and game.days and game.days[0].local.date() >= today
        ]
        return sorted(ahead, key=lambda game: (game.days[0].start, game.id))

    def _pick(self, candidates: list[T], what: str) -> T:
        if not candidates:
            raise NothingToChangeError(f"there is no {what} to change")
        return candidates[self._count * _STRIDE % len(candidates)]


def _is_quiet(team: Team, grade: Grade) -> bool:
    """Whether the team's club keeps another side in the old grade and has one in the new."""
    others = [other for other in team.season.teams if other.club is team.club and other is not team]
    held = {id(other.grade) for other in others}
    return team.club is not None and id(team.grade) in held and id(grade) in held


def _later(day: Day, *, days: int) -> Day:
    """The same local time some days later; UTC may shift with daylight saving."""
    return Day((day.local + timedelta(days=days)).astimezone(UTC), day.ground)


def _named(records: list[R], record_id: str | None) -> list[R]:
    return records if record_id is None else [record for record in records if record.id == record_id]
