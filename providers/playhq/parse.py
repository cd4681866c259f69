"""PlayHQ's seasons, grades and teams as domain records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from providers.payload import (
    BrokenRecord,
    JsonObject,
    identifier,
    moment,
    optional_identifier,
    part,
    read_records,
    text,
)
from sync.model import Grade, Organisation, OrganisationKind, RecordKind, Season, Team
from sync.ports import Listing, Quarantined


def short_code(record_id: str) -> str:
    """The eight characters that PlayHQ's web addresses end with, of a record's UUID."""
    return record_id[:8].lower()


def parse_seasons(items: Iterable[Any], organisation: Organisation) -> Listing[Season]:
    """Seasons of an organisation; only an id is required, status and name may be empty."""

    def parse(item: JsonObject) -> Season:
        association = part(item, "association")
        competition = part(item, "competition")
        association_id = optional_identifier(association, "id")
        if association_id is None and organisation.kind is OrganisationKind.ASSOCIATION:
            association_id = organisation.id
        if association_id is None:
            raise BrokenRecord("`association.id` is missing, and a club's season needs it")
        return Season(
            id=identifier(item, "id"),
            name=text(item, "name") or "",
            status=text(item, "status") or "",
            competition_id=optional_identifier(competition, "id"),
            competition_name=text(competition, "name"),
            association_id=association_id,
            association_name=text(association, "name"),
            updated_at=moment(item.get("updatedAt")),
        )

    quarantined: list[Quarantined] = []
    seasons = read_records(items, RecordKind.SEASON, parse, quarantined=quarantined)
    return Listing(seasons, quarantined)


def parse_registered_seasons(items: Iterable[Any], association: Organisation) -> list[Season]:
    """Seasons that open registration forms name; a hint, so anything unreadable is left out."""
    seasons: dict[str, Season] = {}
    for item in items:
        if not isinstance(item, dict):
            continue
        season_id = optional_identifier(item, "seasonId")
        if season_id is not None:
            seasons.setdefault(
                season_id,
                Season(
                    id=season_id,
                    name=text(item, "seasonName") or "",
                    status="",
                    competition_id=None,
                    competition_name=text(item, "competitionName"),
                    association_id=association.id,
                    association_name=association.name,
                ),
            )
    return list(seasons.values())


def parse_grades(items: Iterable[Any], season_id: str) -> Listing[Grade]:
    """Grades of a season; none at all is normal before the association publishes them."""

    def parse(item: JsonObject) -> Grade:
        return Grade(
            id=identifier(item, "id"),
            name=text(item, "name") or "",
            season_id=season_id,
            url=text(item, "url"),
        )

    quarantined: list[Quarantined] = []
    grades = read_records(items, RecordKind.GRADE, parse, quarantined=quarantined)
    return Listing(grades, quarantined)


def parse_teams(items: Iterable[Any], season_id: str) -> Listing[Team]:
    """Teams of a season; name, club and grade may be missing. One in several grades comes once for each."""

    def parse(item: JsonObject) -> Team:
        club = part(item, "club")
        return Team(
            id=identifier(item, "id"),
            name=text(item, "name"),
            season_id=season_id,
            club_id=optional_identifier(club, "id"),
            club_name=text(club, "name"),
            grade_id=optional_identifier(part(item, "grade"), "id"),
        )

    quarantined: list[Quarantined] = []
    teams = read_records(
        items,
        RecordKind.TEAM,
        parse,
        quarantined=quarantined,
        identity=lambda team: (team.id, team.grade_id),
    )
    return Listing(teams, quarantined)
