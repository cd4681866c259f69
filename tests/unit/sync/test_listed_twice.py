"""A record that several listings name is stored in one place, whoever looks first."""

from __future__ import annotations

import pytest

from sync.context import FanOut
from sync.model import Game
from sync.report import Outcome, Run
from tests.fakes import FakeGathers, World
from tests.unit.sync.engine import Engine, game, grade, season, team

GRADES = range(10, 18)


@pytest.fixture(params=["in order", "in reverse"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Eight grades with two teams and a game each, listed in either order."""
    numbers = list(GRADES) if request.param == "in order" else list(reversed(GRADES))
    world = World()
    world.seasons["season-1"] = season(1)
    for number in numbers:
        world.grades[f"grade-{number}"] = grade(number)
        for side in (0, 1):
            entered = team(number * 10 + side, grade_id=f"grade-{number}")
            world.teams[entered.id] = entered
        fixed = game(number, home=number * 10, away=number * 10 + 1, grade_id=f"grade-{number}")
        world.games[fixed.id] = fixed
    return Engine(world=world)


def written_by(engine: Engine, run: Run) -> list[str]:
    return [change.record_id for run_id, _, change in engine.cms.history if run_id == run.id]


def assert_settled(engine: Engine) -> None:
    """Two syncs more, and a plan, find nothing to write."""
    for _ in range(2):
        run = engine.sync_association()
        assert run.outcome is Outcome.SUCCEEDED, run
        assert written_by(engine, run) == []
    assert engine.cms.plans[engine.sync_association(is_dry_run=True).id] == []


def stored_game(engine: Engine) -> Game:
    return engine.cms.games["game-14"]


@pytest.mark.parametrize("helped", [None, 0, 4, 8])
@pytest.mark.parametrize("other", ["grade-11", "grade-16"])
def test_a_game_in_two_grades_stays_in_the_first_of_them(
    engine: Engine, other: str, helped: int | None
) -> None:
    engine.world.listed_under["game-14"] = {other}
    if helped is not None:
        engine.fan_out = FanOut(
            gathers=FakeGathers(),
            share_out=lambda tasks: list(map(engine.sync_run.perform_grade, tasks[:helped])),
        )
    engine.sync_association()
    assert stored_game(engine).grade_id == min("grade-14", other)
    assert_settled(engine)


@pytest.mark.parametrize("other", ["grade-11", "grade-16"])
def test_it_follows_the_grade_that_still_lists_it(engine: Engine, other: str) -> None:
    engine.world.listed_under["game-14"] = {other}
    engine.sync_association()
    first, second = sorted(["grade-14", other])
    engine.world.games["game-14"] = game(14, home=140, away=141, grade_id=second)
    engine.world.listed_under.clear()
    engine.sync_association()
    assert stored_game(engine).grade_id == second
    assert_settled(engine)
    engine.world.listed_under["game-14"] = {first}
    engine.sync_association()
    assert stored_game(engine).grade_id == first
    assert_settled(engine)
    assert engine.cms.removed == {}


def test_it_leaves_a_grade_that_is_not_published_any_more(engine: Engine) -> None:
    engine.world.listed_under["game-14"] = {"grade-16"}
    engine.sync_association()
    engine.world.hidden_ids.add("grade-14")
    engine.sync_association()
    assert stored_game(engine).grade_id == "grade-16"
    assert_settled(engine)


def test_a_change_of_a_game_in_two_grades_is_written_once(engine: Engine) -> None:
    engine.world.listed_under["game-14"] = {"grade-16"}
    engine.sync_association()
    engine.world.games["game-14"] = game(14, home=140, away=141, grade_id="grade-14", status="FINAL")
    run = engine.sync_association()
    assert written_by(engine, run) == ["game-14"]
    assert stored_game(engine).status == "FINAL"
    assert_settled(engine)


@pytest.mark.parametrize("statuses", [("ACTIVE", "ACTIVE"), ("COMPLETED", "ACTIVE"), ("ACTIVE", "COMPLETED")])
def test_a_team_in_two_seasons_stays_in_one_that_still_runs(
    engine: Engine, statuses: tuple[str, str]
) -> None:
    add_second_season(engine, statuses)
    engine.world.listed_under["team-140"] = {"season-2"}
    engine.world.games["game-30"] = game(30, home=300, away=140, grade_id="grade-30")
    engine.sync_association()
    expected = "season-2" if statuses[0] == "COMPLETED" else "season-1"
    assert engine.cms.teams["team-140"].season_id == expected
    assert engine.cms.games["game-30"].away_id == "team-140"
    assert_settled(engine)


def test_a_team_of_another_season_that_plays_here_stays_there(engine: Engine) -> None:
    add_second_season(engine, ("ACTIVE", "ACTIVE"))
    engine.world.games["game-30"] = game(30, home=300, away=140, grade_id="grade-30")
    engine.world.games["game-10"] = game(10, home=100, away=300, grade_id="grade-10")
    engine.sync_association()
    assert engine.cms.teams["team-140"].season_id == "season-1"
    assert engine.cms.teams["team-300"].season_id == "season-2"
    assert_settled(engine)


def test_a_grade_in_two_seasons_stays_in_the_first_of_them(engine: Engine) -> None:
    add_second_season(engine, ("ACTIVE", "ACTIVE"))
    engine.world.listed_under["grade-14"] = {"season-2"}
    engine.world.listed_under["grade-30"] = {"season-1"}
    engine.sync_association()
    assert engine.cms.grades["grade-14"].season_id == "season-1"
    assert engine.cms.grades["grade-30"].season_id == "season-1"
    assert engine.cms.games == engine.world.games
    assert_settled(engine)


def add_second_season(engine: Engine, statuses: tuple[str, str]) -> None:
    world = engine.world
    for number, status in enumerate(statuses, 1):
        world.seasons[f"season-{number}"] = season(number, status)
    world.grades["grade-30"] = grade(30, "season-2")
    world.teams["team-300"] = team(300, grade_id="grade-30", season_id="season-2")
    world.teams["team-301"] = team(301, grade_id="grade-30", season_id="season-2")
    world.games["game-30"] = game(30, home=300, away=301, grade_id="grade-30")
