"""Scores: which innings were played, and points of sports that have none."""

from __future__ import annotations

from typing import Any

import pytest

from providers.playhq.scores import parse_innings, parse_points
from sync.model import Innings, Points
from tests.unit.providers.playhq.builders import GULLS, HAWKS, game, period, statistics


def test_innings_tell_runs_outs_and_overs() -> None:
    periods = [
        period(HAWKS, GULLS, TOTAL_SCORE=187, TOTAL_OUTS=10, TOTAL_OVERS=41.2, OVER_LIMIT=50),
        period(GULLS, HAWKS, sequence=2, TOTAL_SCORE=150, TOTAL_OUTS=8, TOTAL_OVERS=50),
    ]
    assert parse_innings(game(periods=periods)) == (
        Innings(team_id=HAWKS, number=1, runs=187, outs=10, overs=41.2),
        Innings(team_id=GULLS, number=2, runs=150, outs=8, overs=50),
    )


def test_numbers_may_come_as_text() -> None:
    periods = [period(HAWKS, GULLS, sequence="1", TOTAL_SCORE="187", TOTAL_OUTS="10", TOTAL_OVERS="41.2")]
    assert parse_innings(game(periods=periods)) == (
        Innings(team_id=HAWKS, number=1, runs=187, outs=10, overs=41.2),
    )


def test_order_is_by_sequence_also_when_it_is_text() -> None:
    periods = [
        period(GULLS, HAWKS, sequence="10", TOTAL_SCORE=2),
        period(HAWKS, GULLS, sequence=9, TOTAL_SCORE=1),
    ]
    assert [innings.number for innings in parse_innings(game(periods=periods))] == [9, 10]


@pytest.mark.parametrize("periods", [None, [], [None], [{"sequenceNo": 1, "teams": None}]])
def test_game_before_play_has_no_innings(periods: object) -> None:
    assert parse_innings(game(periods=periods)) == ()


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"TOTAL_SCORE": 0, "TOTAL_OUTS": 0, "TOTAL_OVERS": 0},
        {"TOTAL_SCORE": "0", "TOTAL_OUTS": "0.0", "OVER_LIMIT": 40},
        {"TOTAL_SCORE": None},
        {"TOTAL_SCORE": ""},
    ],
)
def test_placeholder_of_innings_never_reached_is_no_innings(values: dict[str, Any]) -> None:
    reached = period(HAWKS, GULLS, TOTAL_SCORE=80, TOTAL_OUTS=3, TOTAL_OVERS=20)
    placeholder = period(GULLS, HAWKS, sequence=2, status=None, **values)
    assert [innings.team_id for innings in parse_innings(game(periods=[reached, placeholder]))] == [HAWKS]


def test_innings_without_a_run_were_played_all_the_same() -> None:
    periods = [period(HAWKS, GULLS, TOTAL_SCORE=0, TOTAL_OUTS=10, TOTAL_OVERS=8.3)]
    assert parse_innings(game(periods=periods)) == (
        Innings(team_id=HAWKS, number=1, runs=0, outs=10, overs=8.3),
    )


def test_bowlers_figures_are_no_innings() -> None:
    bowled = period(HAWKS, GULLS, TOTAL_SCORE=80)
    bowled["teams"][1]["outcome"]["statistics"] = statistics(TOTAL_SCORE=80, TOTAL_OUTS=10)
    assert len(parse_innings(game(periods=[bowled]))) == 1


def match(**values_by_team: Any) -> dict[str, Any]:
    return {
        "teams": [
            {"id": team_id, "discipline": None, "outcome": {"status": None, "statistics": values}}
            for team_id, values in values_by_team.items()
        ]
    }


def test_points_tell_goals_behinds_and_their_total() -> None:
    scored = match(
        **{
            HAWKS: statistics(TOTAL_GOALS=10, TOTAL_BEHINDS=7),
            GULLS: statistics(TOTAL_GOALS="2", TOTAL_BEHINDS="0", TOTAL_SCORE="12"),
        }
    )
    assert parse_points(game(match=scored)) == {
        HAWKS: Points(goals=10, behinds=7, total=67),
        GULLS: Points(goals=2, behinds=0, total=12),
    }


def test_sport_with_a_total_only_has_a_total_only() -> None:
    scored = match(**{HAWKS: statistics(TOTAL_SCORE=41), GULLS: statistics(TOTAL_SCORE=0)})
    assert parse_points(game(match=scored)) == {HAWKS: Points(total=41), GULLS: Points(total=0)}


@pytest.mark.parametrize(
    "nothing",
    [None, {}, {"teams": None}, match(**{HAWKS: [], GULLS: []}), match(**{HAWKS: statistics(TOTAL_SCORE=0)})],
)
def test_no_points_before_play(nothing: object) -> None:
    assert parse_points(game(match=nothing)) == {}
