"""Ladders: the administrator's columns by position, several a grade, none on purpose."""

from __future__ import annotations

from typing import Any

import pytest

from providers.playhq.ladders import parse_ladders, parse_old_ladders, parse_standing_names
from sync.model import Ladder, LadderRow
from tests.unit.providers.playhq.builders import GRADE_ID, GULLS, HAWKS, POOL_ID, ladder


def test_values_are_named_by_the_headers_in_their_order() -> None:
    assert parse_ladders([ladder()], GRADE_ID).records == [
        Ladder(
            grade_id=GRADE_ID,
            type="overall",
            rows=(
                LadderRow(position=1, team_id=HAWKS, values={"played": 6, "competitionPoints": 30}),
                LadderRow(position=2, team_id=GULLS, values={"played": 6, "competitionPoints": 24}),
            ),
        )
    ]


def test_no_ladder_is_normal() -> None:
    listing = parse_ladders([], GRADE_ID)
    assert (listing.records, listing.quarantined) == ([], [])


def test_ladder_without_rows_is_a_ladder() -> None:
    assert parse_ladders([ladder(standings=[])], GRADE_ID).records[0].rows == ()


def test_pools_and_types_are_ladders_of_their_own() -> None:
    ladders = [
        ladder(type="t20"),
        ladder(type="twoDay"),
        ladder(pool={"id": POOL_ID, "name": "Pool A"}),
        ladder(pool={"id": "other", "name": "Pool B"}),
    ]
    listing = parse_ladders(ladders, GRADE_ID)
    assert len({entry.id for entry in listing.records}) == 4
    assert not listing.quarantined


def test_second_ladder_of_one_type_and_pool_is_quarantined() -> None:
    listing = parse_ladders([ladder(), ladder()], GRADE_ID)
    assert len(listing.records) == 1
    assert [entry.record_id for entry in listing.quarantined] == [listing.records[0].id]


@pytest.mark.parametrize("value", [None, "-", "1.25", 1.25, 0])
def test_value_stays_as_sent(value: Any) -> None:
    standings = [{"team": {"id": HAWKS}, "values": [value, 1]}]
    (parsed,) = parse_ladders([ladder(standings=standings)], GRADE_ID).records
    assert parsed.rows[0].values["played"] == value


@pytest.mark.parametrize("values", [None, []])
def test_row_without_values_keeps_its_place(values: object) -> None:
    standings = [{"team": {"id": HAWKS}, "values": values}]
    (parsed,) = parse_ladders([ladder(standings=standings)], GRADE_ID).records
    assert parsed.rows == (LadderRow(position=1, team_id=HAWKS),)


@pytest.mark.parametrize(
    "broken",
    [
        None,
        {"headers": [], "ladder": []},
        ladder(standings=None),
        ladder(standings=[None]),
        ladder(standings=[{"team": None, "values": [1, 2]}]),
        ladder(standings=[{"team": {"id": HAWKS}, "values": [1]}]),
        ladder(standings=[{"team": {"id": HAWKS}, "values": [1, 2, 3]}]),
        ladder(headers=[{"name": "Played"}, {"key": "competitionPoints"}]),
    ],
    ids=["null", "other row list", "no rows", "null row", "no team", "too few", "too many", "no key"],
)
def test_ladder_that_cannot_be_trusted_is_quarantined(broken: object) -> None:
    listing = parse_ladders([broken, ladder(type="t20")], GRADE_ID)
    assert [entry.type for entry in listing.records] == ["t20"]
    assert len(listing.quarantined) == 1


def test_names_of_standings_serve_where_no_others_are() -> None:
    assert parse_standing_names([ladder(), None]) == {HAWKS: "Harbour Hawks 1st XI", GULLS: "Gulls"}


OLD_COLUMNS: dict[str, int | float | str | None] = {
    "played": 6,
    "won": 5,
    "lost": 1,
    "percentage": "120.5",
    "competitionPoints": 20,
}


@pytest.mark.parametrize(
    "naming",
    [
        {"team": {"id": HAWKS, "name": "Hawks"}},
        {"teamId": HAWKS, "teamName": "Hawks"},
        {"teamID": HAWKS},
        {"id": HAWKS, "name": "Hawks"},
    ],
    ids=["nested", "teamId", "teamID", "beside"],
)
def test_old_ladder_names_its_team_in_several_ways(naming: dict[str, Any]) -> None:
    old = {"pool": {"id": POOL_ID, "name": "Pool A"}, "standings": [{**naming, **OLD_COLUMNS, "ranking": 1}]}
    assert parse_old_ladders([old], GRADE_ID).records == [
        Ladder(
            grade_id=GRADE_ID,
            pool_id=POOL_ID,
            rows=(LadderRow(position=1, team_id=HAWKS, values=OLD_COLUMNS),),
        )
    ]


def test_old_ladder_goes_by_rank_and_keeps_the_order_where_there_is_none() -> None:
    rows: list[dict[str, Any]] = [
        {"teamId": "c"},
        {"teamId": "b", "ranking": "2"},
        {"teamId": "a", "ranking": 1},
        {"teamId": "d", "ranking": None},
    ]
    (parsed,) = parse_old_ladders([{"pool": None, "standings": rows}], GRADE_ID).records
    assert [row.team_id for row in parsed.rows] == ["a", "b", "c", "d"]
