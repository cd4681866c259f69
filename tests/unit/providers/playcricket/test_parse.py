"""Play-Cricket's records: text for everything, results about one team, cups beside divisions."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from providers.playcricket.identities import Competition, league_year
from providers.playcricket.parse import parse_competitions, parse_fixture, parse_tables, parse_teams
from sync.errors import InvalidRequest
from sync.model import Game, GameDay, Grade, Innings, Ladder, LadderRow, Team
from tests.unit.providers.playcricket.builders import competition_team, innings, match, result, table

DIVISION = Competition("81000", is_cup=False)
CUP = Competition("500", is_cup=True)


def parse_one(*, of_result: bool = True, **changes: Any) -> Game:
    entries = ([], [result(**changes)]) if of_result else ([match(**changes)], [])
    fixture = parse_fixture(*entries, DIVISION)
    assert not fixture.quarantined
    (only,) = fixture.games
    return only


def test_result_is_read_whole() -> None:
    assert parse_one() == Game(
        id="7000001",
        grade_id="81000",
        round=None,
        status="FINAL",
        type="Limited Overs",
        home_id="111",
        away_id="122",
        days=(
            GameDay(
                day=date(2031, 6, 7),
                start=time(13, 0),
                utc=datetime(2031, 6, 7, 12, 0, tzinfo=UTC),
                zone="Europe/London",
                ground="Mill Lane",
            ),
        ),
        outcomes={"111": "W"},
        innings=(
            Innings(team_id="111", number=1, runs=180, outs=7, overs=40),
            Innings(team_id="122", number=2, runs=120, outs=10, overs=33.4),
        ),
    )


def test_match_without_a_result_is_upcoming() -> None:
    game = parse_one(of_result=False)
    assert (game.status, game.outcomes, game.innings) == ("UPCOMING", {}, ())


def test_match_and_its_result_are_one_game() -> None:
    (only,) = parse_fixture([match()], [result()], DIVISION).games
    assert only.status == "FINAL"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("W", "FINAL"),
        ("L", "FINAL"),
        ("T", "FINAL"),
        ("D", "FINAL"),
        ("Con", "FINAL"),
        ("CON", "FINAL"),
        ("A", "ABANDONED"),
        ("C", "CANCELLED"),
        ("P", "LIVE"),
        ("M", "LIVE"),
        ("X9", "X9"),
        ("", "UPCOMING"),
        (None, "UPCOMING"),
    ],
)
def test_status_follows_the_result(code: str | None, status: str) -> None:
    assert parse_one(result=code).status == status


@pytest.mark.parametrize(
    ("code", "about", "outcomes"),
    [
        ("L", "122", {"122": "L"}),
        ("CON", "122", {"122": "CON"}),
        ("T", "", {"111": "T", "122": "T"}),
        ("D", None, {"111": "D", "122": "D"}),
        ("W", "999", {}),
        ("P", "", {}),
        ("", "", {}),
    ],
)
def test_outcome_is_for_the_team_that_the_code_is_about(
    code: str, about: str | None, outcomes: dict[str, str]
) -> None:
    assert parse_one(result=code, result_applied_to=about).outcomes == outcomes


def test_deleted_match_is_told_as_gone_whoever_says_so() -> None:
    for matches, results in (
        ([match(status="Deleted")], []),
        ([match()], [result(status="deleted")]),
        ([match(status="Deleted")], [result()]),
    ):
        fixture = parse_fixture(matches, results, DIVISION)
        assert (fixture.games, fixture.deleted_ids) == ([], ["7000001"])


def test_cancelled_match_stays_a_game() -> None:
    assert parse_one(result="C").status == "CANCELLED"


def test_missing_match_proves_nothing() -> None:
    assert not parse_fixture([], [], DIVISION).proves_absence


@pytest.mark.parametrize("day", ["", None])
def test_match_without_a_date_is_a_game(day: str | None) -> None:
    assert parse_one(match_date=day).days == ()


@pytest.mark.parametrize("day", ["2031-06-07", "31/02/2031", "00/00/0000", "07/06/0031"])
def test_match_on_an_unreadable_day_is_quarantined(day: str) -> None:
    (quarantined,) = parse_fixture([match(match_date=day)], [], DIVISION).quarantined
    assert quarantined.reason == f'`match_date` is unreadable: "{day}"'


def test_winter_time_of_london_is_utc() -> None:
    (day,) = parse_one(match_date="02/11/2031", match_time="").days
    assert (day.start, day.utc) == (None, None)
    (day,) = parse_one(match_date="02/11/2031", match_time="11:30").days
    assert day.utc == datetime(2031, 11, 2, 11, 30, tzinfo=UTC)


@pytest.mark.parametrize("figures", [("0", "0", "0"), ("", "", ""), (None, None, None)])
def test_innings_never_played_are_none(figures: tuple[Any, ...]) -> None:
    played = [innings("111", 1, "180", "7", "40"), innings("122", 2, *figures)]
    assert [entry.team_id for entry in parse_one(innings=played).innings] == ["111"]


def test_fields_that_old_matches_lack_are_no_fault() -> None:
    bare = {"id": 1, "home_team_id": "111", "away_team_id": "122"}
    (only,) = parse_fixture([bare], [], DIVISION).games
    assert (only.type, only.days) == (None, ())


def test_cup_match_without_its_sides_is_listed_but_no_game() -> None:
    fixture = parse_fixture([match(home_team_id="", away_team_id="")], [], CUP)
    assert (fixture.games, fixture.undecided_ids, fixture.quarantined) == ([], ["7000001"], [])


@pytest.mark.parametrize("broken", [None, {}, result(home_team_id=None), result(away_team_id="111")])
def test_broken_result_is_quarantined_alone(broken: object) -> None:
    fixture = parse_fixture([match(id=2)], [broken], DIVISION)
    assert [game.id for game in fixture.games] == ["2"]
    assert len(fixture.quarantined) == 1


def test_team_in_a_cup_has_a_record_of_its_own() -> None:
    listing = parse_teams([competition_team()], CUP, "900-2031")
    assert listing.records == [
        Team(
            id="111-500",
            name="Weald CC 1st XI",
            season_id="900-2031",
            club_id="11",
            club_name="Weald CC",
            grade_id="500",
        )
    ]
    fixture = parse_fixture([match()], [result()], CUP)
    assert (fixture.games[0].home_id, fixture.games[0].outcomes) == ("111-500", {"111-500": "W"})
    assert fixture.team_names == {"111-500": "Weald CC 1st XI", "122-500": "Down CC 2nd XI"}


def test_team_in_a_division_goes_by_its_own_number() -> None:
    listing = parse_teams([competition_team(), {"team_id": None}, "x"], DIVISION, "900-2031")
    assert [team.id for team in listing.records] == ["111"]
    assert len(listing.quarantined) == 2


def test_divisions_are_grades() -> None:
    listing = parse_competitions([{"id": 81000, "name": "Division 2"}, {"name": "x"}], "900-2031")
    assert listing.records == [Grade(id="81000", name="Division 2", season_id="900-2031")]
    assert len(listing.quarantined) == 1


def test_table_goes_by_its_headings() -> None:
    assert parse_tables([table()], "81000").records == [
        Ladder(
            grade_id="81000",
            rows=(
                LadderRow(position=1, team_id="111", values={"p": 6, "Pts": 120}),
                LadderRow(position=2, team_id="122", values={"p": 6, "Pts": 98.5}),
            ),
        )
    ]


@pytest.mark.parametrize(
    "broken", [None, {}, table(headings=None), table(values=None), table(values=[{"position": "1"}])]
)
def test_table_that_cannot_be_trusted_is_quarantined(broken: object) -> None:
    listing = parse_tables([broken], "81000")
    assert not listing.records
    assert len(listing.quarantined) == 1


def test_season_is_a_leagues_year() -> None:
    assert league_year("900-2031").season_id == "900-2031"
    for text in ("2031", "900-", "-2031", "900-next"):
        with pytest.raises(InvalidRequest):
            league_year(text)
