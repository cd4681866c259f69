"""What a first sync of an organisation has to store, told from the world: the witness for tests.

The scope: of a club, the grades that hold one of its teams, all teams there, its own
teams and its own games; of an association, everything of its kept seasons.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import Any

from simulator import shapes
from simulator.world.model import Club, Game, Grade, Season, Team
from simulator.world.world import World

LOOK_BACK_DAYS = 14


def tell(
    world: World,
    kind: str,
    record_id: str,
    *,
    look_back_days: int = LOOK_BACK_DAYS,
    has_hints: bool = True,
) -> dict[str, Any]:
    """The expected export, lists in order of id; `has_hints` counts seasons that only registrations name.

    Raises KeyError for an organisation that the world lacks.
    """
    club = world.find_club(record_id) if kind == "club" else None
    association = world.find_association(record_id) if kind == "association" else None
    if club is None and association is None:
        raise KeyError(f"there is no {kind} {record_id}")
    homes = [association] if association else world.associations_of(_known(club))
    listed = [
        season
        for home in homes
        for season in home.seasons
        if season.is_listed or (has_hints and season.status(world.today) != "COMPLETED")
    ]
    kept = [season for season in listed if is_kept(world, season, look_back_days)]
    grades = [grade for season in kept for grade in grades_in_scope(season, club)]
    export: dict[str, Any] = {
        "seasons": [
            shape_of_season(world, season, _played_on(world, season, club) if season in kept else [])
            for season in listed
        ],
        "grades": [shapes.grade(grade) for grade in grades],
        "teams": [
            shapes.team(team, is_name_known=is_name_known(world, team, grades))
            for season in kept
            for team in _teams(world, season, club, grades)
        ],
        "games": [
            shapes.game(game)
            for grade in grades
            for game in world.games(grade)
            if club is None or has_team(game, club)
        ],
        "ladders": [shapes.ladder(grade, table) for grade in grades for table in world.ladders(grade)],
    }
    for name in ("seasons", "grades", "teams", "games"):
        export[name].sort(key=lambda shape: shape["id"])
    export["ladders"].sort(key=lambda shape: (shape["grade_id"], shape["type"], shape["pool_id"] or ""))
    return export


def is_kept(world: World, season: Season, look_back_days: int) -> bool:
    """A finished season is kept while its last change, the day after it ended, is in the window."""
    if season.status(world.today) != "COMPLETED":
        return True
    return season.last_day + timedelta(days=1) >= world.today - timedelta(days=look_back_days)


def grades_in_scope(season: Season, club: Club | None) -> list[Grade]:
    """The shown grades: all of them, or those that hold a team of the club."""
    shown = [grade for grade in season.grades if not grade.is_hidden]
    if club is None:
        return shown
    held = {team.grade.id for team in season.teams if team.club is club and team.grade}
    return [grade for grade in shown if grade.id in held]


def shape_of_season(world: World, season: Season, days: Collection[date]) -> shapes.Shape:
    """A season as the provider tells it; registrations know neither its status nor its competition's id."""
    if season.is_listed:
        return shapes.season(season, season.status(world.today), days)
    return shapes.season(season, None, days) | {"competition_id": None}


def days_of(games: Iterable[Game]) -> set[date]:
    """The days on which any of them is played, local to its ground."""
    return {day.local.date() for game in games for day in game.days}


def has_team(game: Game, club: Club) -> bool:
    return club in (game.home.club, game.away.club)


def is_name_known(world: World, team: Team, grades: list[Grade]) -> bool:
    """The team listing carries the name, or the fixture of one of the grades does (not of juniors)."""
    if team.is_named:
        return True
    return any(
        team is side
        for grade in grades
        if grade.season is team.season and not grade.is_junior and team in grade.entrants
        for game in world.games(grade)
        for side in (game.home, game.away)
    )


def _played_on(world: World, season: Season, club: Club | None) -> set[date]:
    return days_of(game for grade in grades_in_scope(season, club) for game in world.games(grade))


def _teams(world: World, season: Season, club: Club | None, grades: list[Grade]) -> list[Team]:
    if club is None:
        return season.teams
    in_scope = {grade.id for grade in grades}
    needed = {
        side.id
        for grade in grades
        if grade.season is season
        for game in world.games(grade)
        if has_team(game, club)
        for side in (game.home, game.away)
    }
    return [
        team
        for team in season.teams
        if team.club is club or team.id in needed or (team.grade and team.grade.id in in_scope)
    ]


def _known(club: Club | None) -> Club:
    if club is None:
        raise KeyError("no club")
    return club
