"""The organisations of the world as accounts to import, with what is odd about each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from simulator.world.model import Association, Club, Format, Season
from simulator.world.world import World


def list_accounts(
    world: World, *, tenant: str | None = None, limit: int | None = None
) -> list[dict[str, Any]]:
    """Associations first, then their clubs; `limit` is the number of associations looked at."""
    associations = [
        world.association(index)
        for index, plan in enumerate(world.plans)
        if tenant is None or plan.tenant == tenant
    ][:limit]
    entries = [_association(association) for association in associations]
    for association in associations:
        entries.extend(
            _club(world, club) for club in association.clubs if club.home_association == association.index
        )
    return entries


def _association(association: Association) -> dict[str, Any]:
    return {
        "type": "association",
        "id": association.id,
        "organisation": association.id,
        "name": association.name,
        "provider": "playhq",
        "associations": [],
        "tenant": association.tenant,
        "sport": association.sport,
        "features": sorted(set(_features(association.seasons))),
    }


def _club(world: World, club: Club) -> dict[str, Any]:
    homes = world.associations_of(club)
    seasons = [season for home in homes for season in home.seasons]
    grades = {
        team.grade.id: team.grade
        for season in seasons
        for team in season.teams
        if team.club is club and team.grade
    }
    features = set(_grade_features(grade for grade in grades.values()))
    if len(homes) > 1:
        features.add("several associations")
    if any(not season.is_in_club_listings for season in seasons):
        features.add("incomplete club listing")
    return {
        "type": "club",
        "id": club.id,
        "organisation": club.id,
        "name": club.name,
        "provider": "playhq",
        "associations": [home.id for home in homes],
        "tenant": homes[0].tenant,
        "sport": homes[0].sport,
        "features": sorted(features),
    }


def _features(seasons: list[Season]) -> Iterator[str]:
    for season in seasons:
        yield from _grade_features(iter(season.grades))
        if any(team.club is None for team in season.teams):
            yield "team without a club"
        if any(team.grade is None for team in season.teams):
            yield "team without a grade"
        if any(grade.is_hidden for grade in season.grades):
            yield "hidden grade"
        if not season.is_listed:
            yield "season missing from the listing"
        if not season.grades:
            yield "season without grades"


def _grade_features(grades: Iterator[Any]) -> Iterator[str]:
    for grade in grades:
        if grade.is_junior:
            yield "no ladder"
        if grade.game_format in (Format.TWO_DAY, Format.MIXED):
            yield "two-day games"
        if grade.game_format is Format.MIXED:
            yield "several ladders"
        if grade.pools_count > 1:
            yield "pools"
        if len(grade.entrants) % 2:
            yield "byes"
        if len(grade.entrants) > 3:
            yield "several games a round"
        if not grade.game_format.has_innings:
            yield "points"
        if grade.serial % 4 == 0:
            yield "forfeit"
