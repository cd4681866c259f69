"""Seasons, grades and teams of PlayHQ: what may be missing, and what may not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.playhq.parse import (
    parse_grades,
    parse_registered_seasons,
    parse_seasons,
    parse_teams,
    short_code,
)
from sync.model import Grade, Organisation, OrganisationKind, Season, Team
from tests.unit.providers.playhq.builders import (
    ASSOCIATION_ID,
    CLUB_ID,
    GRADE_ID,
    HAWKS,
    SEASON_ID,
    grade,
    season,
    team,
)

ASSOCIATION = Organisation(id=ASSOCIATION_ID, kind=OrganisationKind.ASSOCIATION, provider="playhq")
CLUB = Organisation(id=CLUB_ID, kind=OrganisationKind.CLUB, provider="playhq")


def test_season_carries_its_competition_and_association() -> None:
    assert parse_seasons([season()], ASSOCIATION).records == [
        Season(
            id=SEASON_ID,
            name="Summer 2031/32",
            status="ACTIVE",
            competition_id="c0ffee00-0000-4000-8000-000000000001",
            competition_name="Senior Competition",
            association_id=ASSOCIATION_ID,
            association_name="Harbour District CA",
        )
    ]


def test_season_is_dated_by_its_update_for_windows_only() -> None:
    (parsed,) = parse_seasons([season()], ASSOCIATION).records
    assert parsed.updated_at == datetime(2031, 8, 2, 1, tzinfo=UTC)
    assert parsed.first_day is None


def test_season_needs_nothing_but_its_id() -> None:
    listing = parse_seasons([{"id": SEASON_ID}], ASSOCIATION)
    assert not listing.quarantined
    (parsed,) = listing.records
    assert (parsed.name, parsed.status, parsed.competition_id) == ("", "", None)
    assert parsed.association_id == ASSOCIATION_ID


@pytest.mark.parametrize("key", ["name", "status", "competition", "updatedAt"])
def test_null_in_a_season_is_no_fault(key: str) -> None:
    assert not parse_seasons([season(**{key: None})], ASSOCIATION).quarantined


def test_unknown_status_is_kept_as_sent() -> None:
    assert parse_seasons([season(status="ARCHIVED_x")], ASSOCIATION).records[0].status == "ARCHIVED_x"


def test_clubs_season_without_association_is_quarantined() -> None:
    listing = parse_seasons([season(association=None), season(id="other")], CLUB)
    assert [record.id for record in listing.records] == ["other"]
    assert listing.quarantined[0].record_id == SEASON_ID


def test_identifiers_are_lower_case() -> None:
    listing = parse_seasons([season(id=SEASON_ID.upper())], ASSOCIATION)
    assert listing.records[0].id == SEASON_ID


def test_seasons_of_one_name_stay_apart() -> None:
    listing = parse_seasons([season(), season(id="2"), season(id="3")], ASSOCIATION)
    assert len(listing.records) == 3


@pytest.mark.parametrize("broken", [None, 7, "x", [], {}, {"id": None}, {"id": ""}, {"id": {}}, {"id": True}])
def test_single_broken_record_is_quarantined_and_the_rest_stands(broken: object) -> None:
    listing = parse_teams([team(), broken], SEASON_ID)
    assert [record.id for record in listing.records] == [HAWKS]
    assert len(listing.quarantined) == 1


def test_row_that_comes_on_two_pages_counts_once() -> None:
    assert len(parse_teams([team(), team()], SEASON_ID).records) == 1
    assert len(parse_grades([grade(), grade()], SEASON_ID).records) == 1


def test_grade_has_a_name_and_an_address_only() -> None:
    assert parse_grades([grade()], SEASON_ID).records == [
        Grade(id=GRADE_ID, name="A Grade", season_id=SEASON_ID, url="https://www.playhq.com/a-grade/7c1d22aa")
    ]


def test_no_grades_yet_is_normal() -> None:
    listing = parse_grades([], SEASON_ID)
    assert (listing.records, listing.quarantined) == ([], [])


def test_team_carries_its_club_and_grade() -> None:
    assert parse_teams([team()], SEASON_ID).records == [
        Team(
            id=HAWKS,
            name="Harbour Hawks 1st XI",
            season_id=SEASON_ID,
            club_id=CLUB_ID,
            club_name="Harbour Hawks CC",
            grade_id=GRADE_ID,
        )
    ]


def test_team_without_club_grade_or_name_is_a_team() -> None:
    bare = {"id": HAWKS, "createdAt": "2031-08-05T02:00:00.000Z"}
    nulls = team(club=None, grade=None, name=None)
    expected = [Team(id=HAWKS, name=None, season_id=SEASON_ID)]
    assert parse_teams([bare], SEASON_ID).records == expected
    assert parse_teams([nulls], SEASON_ID).records == expected


def test_registrations_name_seasons_and_unreadable_ones_are_left_out() -> None:
    forms = [
        {"seasonId": "S1", "seasonName": "Summer 2032/33", "competitionName": "Juniors"},
        {"seasonId": "s1"},
        {"seasonId": None},
        "x",
    ]
    (hinted,) = parse_registered_seasons(forms, ASSOCIATION)
    assert (hinted.id, hinted.name, hinted.competition_name) == ("s1", "Summer 2032/33", "Juniors")
    assert hinted.association_id == ASSOCIATION_ID


def test_short_code_is_what_web_addresses_end_with() -> None:
    assert short_code(GRADE_ID.upper()) == "7c1d22aa"
