"""Fixtures by round (version 2): days, sides, rounds, and games that are unlike others."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import msgspec
import pytest

from providers.playhq.fixtures import parse_fixture
from providers.playhq.wire import GradeGames
from sync.model import Game, GameDay
from sync.ports import Fixture
from tests.unit.providers.playhq.builders import (
    GAME_ID,
    GRADE_ID,
    GULLS,
    HAWKS,
    SURFACE_ID,
    fixture,
    game,
    round_,
    surface,
)


def parse(payload: dict[str, Any]) -> Fixture:
    answer = msgspec.json.decode(msgspec.json.encode(payload), type=GradeGames)
    return parse_fixture(answer, GRADE_ID, default_zone="Australia/Sydney")


def parse_game(**changes: Any) -> Game:
    parsed = parse(fixture(round_(game(**changes))))
    assert not parsed.quarantined
    (only,) = parsed.games
    return only


def test_game_is_read_whole() -> None:
    assert parse_game() == Game(
        id=GAME_ID,
        grade_id=GRADE_ID,
        round="Round 3",
        status="FINAL",
        type="oneDay",
        home_id=HAWKS,
        away_id=GULLS,
        days=(
            GameDay(
                day=date(2031, 10, 18),
                start=time(13, 0),
                utc=datetime(2031, 10, 18, 2, 0, tzinfo=UTC),
                zone="Australia/Melbourne",
                ground="Oval 1",
                venue="Wharf Reserve",
            ),
        ),
        outcomes={HAWKS: "WON", GULLS: "LOST"},
        url="https://www.playhq.com/game-centre/e1e1e1e1",
    )


def test_saturday_game_stays_on_saturday_though_utc_says_friday() -> None:
    slot = {"day": None, "dateTime": "2031-10-17T23:30:00.000Z", "playingSurfaceId": SURFACE_ID}
    (day,) = parse_game(schedule=[slot]).days
    assert day.day == date(2031, 10, 18)
    assert day.start == time(10, 30)


def test_two_day_game_over_the_end_of_summer_time_keeps_its_local_hours() -> None:
    slots = [
        {"day": 2, "dateTime": "2032-04-10T01:00:00.000Z", "playingSurfaceId": SURFACE_ID},
        {"day": 1, "dateTime": "2032-04-03T00:00:00.000Z", "playingSurfaceId": SURFACE_ID},
    ]
    parsed = parse_game(type="twoDay", schedule=slots)
    assert [(day.day, day.start) for day in parsed.days] == [
        (date(2032, 4, 3), time(11, 0)),
        (date(2032, 4, 10), time(11, 0)),
    ]
    assert (parsed.first_day, parsed.last_day) == (date(2032, 4, 3), date(2032, 4, 10))


@pytest.mark.parametrize("zone", [None, "", "Nowhere/Land", "../etc/passwd", "Australia", 7])
def test_unknown_zone_falls_back_to_the_default_one(zone: object) -> None:
    parsed = parse(fixture(round_(game()), playingSurfaces=[surface(timezone=zone)]))
    assert parsed.games[0].days[0].zone == "Australia/Sydney"


@pytest.mark.parametrize("surfaces", [None, [], [{"id": "another"}], [None]])
def test_unknown_ground_leaves_the_day(surfaces: object) -> None:
    (day,) = parse(fixture(round_(game()), playingSurfaces=surfaces)).games[0].days
    assert (day.day, day.ground, day.venue) == (date(2031, 10, 18), None, None)


@pytest.mark.parametrize(
    "schedule",
    [None, [], [{"day": None, "dateTime": None, "playingSurfaceId": None}], [{"dateTime": " "}]],
)
def test_game_without_a_date_is_a_game(schedule: object) -> None:
    assert parse_game(schedule=schedule).days == ()


@pytest.mark.parametrize(
    "moment", ["soon", "18/10/2031 13:00", 1950000000000, [], "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"]
)
def test_game_at_an_unreadable_time_is_quarantined_and_loses_no_day(moment: object) -> None:
    odd = game(id="odd", schedule=[{"dateTime": moment, "playingSurfaceId": None}])
    parsed = parse(fixture(round_(odd, game())))
    assert [entry.id for entry in parsed.games] == [GAME_ID]
    (quarantined,) = parsed.quarantined
    assert (quarantined.record_id, quarantined.reason) == ("odd", f'`dateTime` is unreadable: "{moment}"')


def test_other_offsets_mean_the_same_moment() -> None:
    (day,) = parse_game(schedule=[{"dateTime": "2031-10-18T13:00:00+11:00"}]).days
    assert day.utc == datetime(2031, 10, 18, 2, 0, tzinfo=UTC)


def test_every_game_of_a_round_gets_its_label() -> None:
    first, second = game(), game(id="second")
    parsed = parse(fixture(round_(first, second), round_(game(id="third"), name="Semi Final")))
    assert [(entry.id, entry.round) for entry in parsed.games] == [
        (GAME_ID, "Round 3"),
        ("second", "Round 3"),
        ("third", "Semi Final"),
    ]


def test_round_without_a_name_is_called_by_its_short_one() -> None:
    assert parse(fixture(round_(game(), name=None))).games[0].round == "R3"
    assert parse(fixture(round_(game(), name=None, abbreviatedName=None))).games[0].round is None


@pytest.mark.parametrize("byes", [None, [], [{"teamID": HAWKS}], [{"teamId": HAWKS}]])
def test_byes_are_not_games(byes: object) -> None:
    parsed = parse(fixture(round_(byes=byes)))
    assert (parsed.games, parsed.quarantined) == ([], [])


def test_no_rounds_yet_is_normal() -> None:
    parsed = parse({"rounds": []})
    assert (parsed.games, parsed.team_names, parsed.quarantined) == ([], {}, [])


def test_home_is_who_the_flag_says_whatever_the_order() -> None:
    teams = [
        {"id": GULLS, "isHomeTeam": False, "outcome": None},
        {"id": HAWKS, "isHomeTeam": True, "outcome": None},
    ]
    parsed = parse_game(teams=teams)
    assert (parsed.home_id, parsed.away_id) == (HAWKS, GULLS)


@pytest.mark.parametrize(
    ("of_first", "of_second"),
    [("false", "true"), (False, "True"), (None, True), (False, None), ("no", "yes")],
)
def test_home_is_who_the_flag_says_however_it_is_spelled(of_first: object, of_second: object) -> None:
    parsed = parse_game(teams=[{"id": GULLS, "isHomeTeam": of_first}, {"id": HAWKS, "isHomeTeam": of_second}])
    assert (parsed.home_id, parsed.away_id) == (HAWKS, GULLS)


@pytest.mark.parametrize("flag", [True, False, None, "", "maybe", 7])
def test_order_decides_where_the_flag_says_nothing(flag: object) -> None:
    parsed = parse_game(teams=[{"id": HAWKS, "isHomeTeam": flag}, {"id": GULLS, "isHomeTeam": flag}])
    assert (parsed.home_id, parsed.away_id) == (HAWKS, GULLS)


@pytest.mark.parametrize(
    "code",
    ["WON_ON_FIRST_INNINGS", "LOSS_BY_SUPER_OVER", "WON_OUTRIGHT_AFTER_TRAILING", "NO_RESULT", "never seen"],
)
def test_outcome_stays_the_raw_code(code: str) -> None:
    teams = [{"id": HAWKS, "isHomeTeam": True, "outcome": code}, {"id": GULLS, "isHomeTeam": False}]
    assert parse_game(teams=teams).outcomes == {HAWKS: code}


@pytest.mark.parametrize("status", ["LIVE", "IN_PROGRESS", "Something New"])
def test_unknown_status_stays_as_sent(status: str) -> None:
    assert parse_game(status=status).status == status


def test_game_without_a_status_is_quarantined_alone() -> None:
    parsed = parse(fixture(round_(game(status=None), game(id="second"))))
    assert [entry.id for entry in parsed.games] == ["second"]
    assert [entry.record_id for entry in parsed.quarantined] == [GAME_ID]


@pytest.mark.parametrize(
    "teams",
    [[], [{"id": HAWKS, "isHomeTeam": True}], [{"id": None}, {"id": HAWKS}], [{"id": None}, {"id": None}]],
)
def test_final_whose_teams_are_not_known_yet_is_listed_but_no_game(teams: object) -> None:
    parsed = parse(fixture(round_(game(status="UPCOMING", teams=teams), game(id="second"))))
    assert [entry.id for entry in parsed.games] == ["second"]
    assert parsed.undecided_ids == [GAME_ID]
    assert not parsed.quarantined


@pytest.mark.parametrize(
    "teams",
    [None, "x", [{"id": HAWKS}], [{"id": HAWKS}, {"id": HAWKS}], [{"id": "1"}, {"id": "2"}, {"id": "3"}]],
)
def test_played_game_without_two_teams_is_quarantined(teams: object) -> None:
    parsed = parse(fixture(round_(game(teams=teams))))
    assert not parsed.games
    assert [entry.record_id for entry in parsed.quarantined] == [GAME_ID]


@pytest.mark.parametrize("games", [None, {}, "x"])
def test_round_without_its_games_is_told_because_any_could_be_missing(games: object) -> None:
    parsed = parse(fixture(round_(games=games), round_(game())))
    assert [entry.id for entry in parsed.games] == [GAME_ID]
    assert [entry.record_id for entry in parsed.quarantined] == [None]


def test_game_that_comes_twice_counts_once_in_its_latest_form() -> None:
    early = game(status="UPCOMING", updatedAt="2031-10-01T00:00:00.000Z")
    late = game(id=GAME_ID.upper(), status="FINAL", updatedAt="2031-10-19T00:00:00.000Z")
    for order in ((early, late), (late, early)):
        (only,) = parse(fixture(round_(*order))).games
        assert only.status == "FINAL"


def test_team_names_come_along_where_there_are_any() -> None:
    teams = [{"id": HAWKS, "name": "Hawks"}, {"id": GULLS, "name": None}, {"id": None, "name": "x"}, None]
    assert parse(fixture(teams=teams)).team_names == {HAWKS: "Hawks"}
    assert parse(fixture(teams=None)).team_names == {}


def test_fields_never_seen_before_change_nothing() -> None:
    payload = fixture(round_(game(weather={"rain": True}), sponsor="x"), version=3)
    assert parse(payload).games == parse(fixture(round_(game()))).games
