"""Flat fixtures (version 1): local times, totals, and filling what version 2 left out."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any

import msgspec
import pytest

from providers.playhq.fixtures import add_scores, lacks_scores, parse_fixture, parse_flat_fixture
from providers.playhq.wire import GradeGames
from sync.model import Game, GameDay, Points
from sync.ports import Fixture
from tests.unit.providers.playhq.builders import GRADE_ID, GULLS, HAWKS, fixture, flat_game, game, round_

ZONE = "Australia/Sydney"


def parse_flat(*items: Any) -> Fixture:
    return parse_flat_fixture(items, GRADE_ID, default_zone=ZONE)


def parse_rounds(*games: Any) -> Fixture:
    answer = msgspec.convert(fixture(round_(*games)), GradeGames)
    return parse_fixture(answer, GRADE_ID, default_zone=ZONE)


def test_flat_game_is_read_whole() -> None:
    (parsed,) = parse_flat(flat_game()).games
    assert parsed == Game(
        id=parsed.id,
        grade_id=GRADE_ID,
        round="Round 1",
        status="FINAL",
        type=None,
        home_id=HAWKS,
        away_id=GULLS,
        days=(
            GameDay(
                day=date(2031, 10, 18),
                start=time(9, 15),
                utc=datetime(2031, 10, 17, 22, 15, tzinfo=UTC),
                zone="Australia/Melbourne",
                ground="Court 3",
                venue="Wharf Stadium",
            ),
        ),
        outcomes={HAWKS: "WON", GULLS: "LOST"},
        points={HAWKS: Points(goals=6, behinds=11, total=47), GULLS: Points(goals=4, total=30)},
        url="https://x/game-centre/e1e1e1e1",
    )


def test_game_before_play_has_neither_outcome_nor_points() -> None:
    competitors = [
        {"id": HAWKS, "name": "Hawks", "isHomeTeam": True},
        {"id": GULLS, "name": "Gulls", "isHomeTeam": False},
    ]
    (parsed,) = parse_flat(flat_game(status="UPCOMING", competitors=competitors)).games
    assert (parsed.outcomes, parsed.points) == ({}, {})


@pytest.mark.parametrize("kind", ["TOTAL_GOALS", "GOALS_TOTAL", "6_POINT_SCORE"])
def test_goals_go_by_several_names(kind: str) -> None:
    competitors = [
        {
            "id": HAWKS,
            "isHomeTeam": True,
            "scoreTotal": "36",
            "scoreSubTotal": [{"type": kind, "count": "6"}],
        },
        {"id": GULLS, "isHomeTeam": False},
    ]
    (parsed,) = parse_flat(flat_game(competitors=competitors)).games
    assert parsed.points == {HAWKS: Points(goals=6, total=36)}


@pytest.mark.parametrize("schedule", [None, {}, {"date": None, "time": "09:15:00"}, {"date": ""}])
def test_flat_game_without_a_date_is_a_game(schedule: object) -> None:
    (parsed,) = parse_flat(flat_game(schedule=schedule)).games
    assert parsed.days == ()


@pytest.mark.parametrize("day", ["soon", "2031-02-30", 1950000000000, "9999-12-31", "18/10/2031"])
def test_flat_game_on_an_unreadable_day_is_quarantined(day: object) -> None:
    parsed = parse_flat(flat_game(schedule={"date": day, "time": "23:00:00", "timezone": "America/Lima"}))
    assert parsed.games == []
    assert "`date` is unreadable" in parsed.quarantined[0].reason


@pytest.mark.parametrize("start", [None, "", "tba"])
def test_day_without_a_time_is_a_day(start: object) -> None:
    schedule = {"date": "2031-10-18", "time": start, "timezone": None}
    (day,) = parse_flat(flat_game(schedule=schedule)).games[0].days
    assert (day.day, day.start, day.utc, day.zone) == (date(2031, 10, 18), None, None, ZONE)


def test_names_come_from_the_competitors() -> None:
    assert parse_flat(flat_game()).team_names == {HAWKS: "Hawks U12 Gold", GULLS: "Gulls U12"}


def test_ended_games_without_any_score_lack_them() -> None:
    assert lacks_scores(parse_rounds(game(type="afl")))
    assert not lacks_scores(parse_rounds(game(type="afl", status="UPCOMING")))


@pytest.mark.parametrize("kind", ["oneDay", "ONE_DAY", "t20", "T_20", "twoDay", "TWO_DAY"])
def test_cricket_never_lacks_scores_because_version_1_would_add_its_innings(kind: str) -> None:
    assert not lacks_scores(parse_rounds(game(type=kind)))


def test_forfeit_lacks_no_score() -> None:
    teams = [{"id": HAWKS, "outcome": "WON_BY_FORFEIT"}, {"id": GULLS, "outcome": "LOST_BY_FORFEIT"}]
    assert not lacks_scores(parse_rounds(game(type="afl", teams=teams)))


def test_scores_and_names_are_added_and_the_rest_stays() -> None:
    rounds = parse_rounds(game(type="afl"), game(id="other", type="afl"))
    filled = add_scores(rounds, parse_flat(flat_game()))
    assert [entry.points for entry in filled.games] == [
        {HAWKS: Points(goals=6, behinds=11, total=47), GULLS: Points(goals=4, total=30)},
        {},
    ]
    assert [entry.days for entry in filled.games] == [entry.days for entry in rounds.games]
    assert filled.team_names == {HAWKS: "Harbour Hawks 1st XI", GULLS: "Gulls U12"}
