"""What looks different after a change, and which clubs see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from simulator import shapes, truth
from simulator.world.model import Club, Season
from simulator.world.world import World

Snapshot = Mapping[tuple[str, str], shapes.Shape]


def take_snapshot(world: World, season: Season) -> Snapshot:
    """Everything of a season in the shape of an export, by kind and id."""
    grades = truth.grades_in_scope(season, None)
    games = [game for grade in grades for game in world.games(grade)]
    taken: dict[tuple[str, str], shapes.Shape] = {
        ("season", season.id): truth.shape_of_season(world, season, grades)
    }
    taken |= {("grade", grade.id): shapes.grade(grade) for grade in grades}
    taken |= {("team", team.id): shapes.team(team, is_name_known=True) for team in season.teams}
    taken |= {("game", game.id): shapes.game(game) for game in games}
    for grade in grades:
        for table in world.ladders(grade):
            pool_id = table.pool.id if table.pool else ""
            taken["ladder", f"{grade.id}:{table.kind}:{pool_id}"] = shapes.ladder(grade, table)
    return taken


def differences(before: Snapshot, after: Snapshot) -> Iterator[dict[str, Any]]:
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, {}), after.get(key, {})
        fields = {
            name: [old.get(name), new.get(name)]
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        }
        if fields:
            action = "updated" if old and new else "created" if new else "removed"
            yield {"record": key[0], "id": key[1], "action": action, "fields": fields}


def clubs_that_see(world: World, season: Season, found: list[dict[str, Any]]) -> list[str]:
    """Clubs with a side in a changed game, or with a team in a changed grade or in its ladder."""
    sides = {
        game.id: {game.home.club, game.away.club}
        for grade in season.grades
        for round_ in world.rounds(grade)
        for game in round_.games
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
