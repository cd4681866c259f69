"""What looks different after a change, and which clubs see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from simulator import shapes, truth
from simulator.world.model import Club, Grade, Season
from simulator.world.world import World

Shapes = Mapping[tuple[str, str], shapes.Shape]


@dataclass(frozen=True, slots=True)
class _GradeShapes:
    """A grade's own record, games and ladders, and on which days it is played."""

    shapes: Shapes
    days: frozenset[date]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything of a season in the shape of an export, by kind and id: each grade's, and the others."""

    grades: Mapping[str, _GradeShapes]
    others: Shapes


def take_snapshot(
    world: World, season: Season, *, earlier: Snapshot | None = None, changed: Grade | None = None
) -> Snapshot:
    """Of `earlier`, all grades but the `changed` one are taken as they are.

    A season of thousands of games is looked at whole once, and not again for each change.
    """
    known = {} if earlier is None else earlier.grades
    grades = {
        grade.id: _shapes_of(world, grade) if grade is changed or grade.id not in known else known[grade.id]
        for grade in truth.grades_in_scope(season, None)
    }
    days = [day for grade in grades.values() for day in grade.days]
    others: dict[tuple[str, str], shapes.Shape] = {
        ("season", season.id): truth.shape_of_season(world, season, days)
    }
    others |= {("team", team.id): shapes.team(team, is_name_known=True) for team in season.teams}
    return Snapshot(grades, others)


def differences(before: Snapshot, after: Snapshot) -> Iterator[dict[str, Any]]:
    all_old, all_new = dict(before.others), dict(after.others)
    for grade_id in before.grades.keys() | after.grades.keys():
        of_before, of_after = before.grades.get(grade_id), after.grades.get(grade_id)
        if of_before is not of_after:
            all_old |= of_before.shapes if of_before else {}
            all_new |= of_after.shapes if of_after else {}
    for key in sorted(all_old.keys() | all_new.keys()):
        old, new = all_old.get(key, {}), all_new.get(key, {})
        if old == new:
            continue
        fields = {
            name: [old.get(name), new.get(name)]
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        }
        action = "updated" if old and new else "created" if new else "removed"
        yield {"record": key[0], "id": key[1], "action": action, "fields": fields}


def clubs_that_see(world: World, season: Season, found: list[dict[str, Any]]) -> list[str]:
    """Clubs with a side in a changed game, or with a team in a changed grade or in its ladder."""
    changed_games = {change["id"] for change in found if change["record"] == "game"}
    sides = {
        game.id: {game.home.club, game.away.club}
        for grade in season.grades
        for round_ in world.rounds(grade)
        for game in round_.games
        if game.id in changed_games
    }
    seen: set[Club | None] = set()
    for change in found:
        record_id = change["id"]
        match change["record"]:
            case "game":
                seen |= sides[record_id]
            case "team":
                seen |= _clubs_beside(season, record_id)
            case "season":
                seen |= {team.club for team in season.teams}
            case _:
                seen |= _clubs_in(season, {record_id.partition(":")[0]})
    return [club.id for club in season.association.clubs if club in seen]


def _clubs_beside(season: Season, team_id: str) -> set[Club | None]:
    """The team's own club, and those with a team in a grade where it is drawn or placed."""
    (changed,) = (team for team in season.teams if team.id == team_id)
    shared = {grade.id for grade in season.grades if changed in grade.entrants or changed.grade is grade}
    return {changed.club} | _clubs_in(season, shared)


def _clubs_in(season: Season, grade_ids: set[str]) -> set[Club | None]:
    return {team.club for team in season.teams if team.grade and team.grade.id in grade_ids}


def _shapes_of(world: World, grade: Grade) -> _GradeShapes:
    games = world.games(grade)
    taken: dict[tuple[str, str], shapes.Shape] = {("grade", grade.id): shapes.grade(grade)}
    taken |= {("game", game.id): shapes.game(game) for game in games}
    for table in world.ladders(grade):
        pool_id = table.pool.id if table.pool else ""
        taken["ladder", f"{grade.id}:{table.kind}:{pool_id}"] = shapes.ladder(grade, table)
    return _GradeShapes(taken, frozenset(truth.days_of(games)))
