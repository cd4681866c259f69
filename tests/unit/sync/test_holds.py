"""The guards: what looks like a provider's mistake waits for a person, and the rest goes on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from sync.by_hand.approval_run import ApprovalRun
from sync.by_hand.run import Act
from sync.context import Rules
from sync.errors import InvalidRequest, UnexpectedResponse
from sync.guard import Limits
from sync.model import RecordKind
from sync.ports import Quarantined
from sync.report import Guard, Outcome, Run, RunState, Stage
from tests.unit.sync.engine import ASSOCIATION, Engine, by_id, game, grade, team
from tests.unit.sync.test_approval import approvals

GENEROUS = Limits(removal_max_count=1000, removal_max_share=1)


@pytest.fixture
def engine() -> Engine:
    """Two grades of ten games, all stored."""
    engine = Engine(rules=Rules(removal_confirmations=2, limits=GENEROUS))
    engine.world.games = by_id(
        *(game(number) for number in range(1, 11)),
        *(game(number, home=4, away=5, grade_id="grade-2") for number in range(11, 21)),
    )
    engine.sync_association()
    return engine


def drop_games(engine: Engine, numbers: Iterable[int]) -> None:
    for number in numbers:
        del engine.world.games[f"game-{number}"]


def approve(engine: Engine, run: Run) -> Act:
    return approvals(engine).approve(run.id, plan_hash=run.plan_hash or "", decided_by="anna")


def approval_run(engine: Engine) -> ApprovalRun:
    return approvals(engine)


def test_a_shrunken_fixture_holds_its_own_writes_and_the_rest_goes_on(engine: Engine) -> None:
    drop_games(engine, range(1, 7))
    engine.world.games["game-7"] = replace(engine.world.games["game-7"], round="Round 9")
    engine.world.games["game-11"] = replace(engine.world.games["game-11"], round="Round 9")
    run = engine.sync_association()

    assert run.outcome is Outcome.PARTIAL
    assert engine.cms.games["game-11"].round == "Round 9"
    assert engine.cms.games["game-7"].round == "Round 1"
    held = {hold.stage: hold for hold in run.holds}
    assert held.keys() == {Stage.GAMES, Stage.FIXTURE_VALIDATION}
    assert (held[Stage.GAMES].guard, held[Stage.GAMES].change_count) == (Guard.SHRINK, 1)
    assert "6 of 10 stored are missing" in held[Stage.GAMES].reason

    approve(engine, run)
    assert engine.cms.games["game-7"].round == "Round 9"
    assert engine.cms.removed == {}


def test_removals_of_a_shrunken_fixture_wait_for_a_person_after_as_many_days(engine: Engine) -> None:
    drop_games(engine, range(1, 7))
    first = engine.sync_association()
    with pytest.raises(InvalidRequest, match="holds nothing back"):
        approval_run(engine).plan(first.id)
    engine.clock.pass_days(1)
    second = engine.sync_association()
    assert engine.cms.removed == {}
    assert second.stages[Stage.FIXTURE_CLEANUP].held == 6

    approve(engine, second)
    assert set(engine.cms.removed) == {f"game-{number}" for number in range(1, 7)}
    engine.clock.pass_days(1)
    assert engine.sync_association().outcome is Outcome.SUCCEEDED


def test_days_of_a_doubtful_listing_remove_nothing_by_themselves(engine: Engine) -> None:
    gone = {number: engine.world.games[f"game-{number}"] for number in range(1, 7)}
    drop_games(engine, gone)
    for _ in range(3):
        engine.sync_association()
        engine.clock.pass_days(1)
    # Most of them come back; the last two are now missing from a listing that nobody doubts.
    for number in range(1, 5):
        engine.world.games[f"game-{number}"] = gone[number]
    engine.sync_association()
    assert engine.cms.removed == {}
    engine.clock.pass_days(1)
    engine.sync_association()
    assert set(engine.cms.removed) == {"game-5", "game-6"}


def test_a_grade_whose_games_moved_to_another_has_not_shrunk(engine: Engine) -> None:
    for number in range(1, 9):
        engine.world.games[f"game-{number}"] = game(number, grade_id="grade-2")
    engine.world.games["game-9"] = replace(engine.world.games["game-9"], round="Round 9")
    run = engine.sync_association()

    assert run.outcome is Outcome.SUCCEEDED
    assert not run.holds
    assert engine.cms.games["game-9"].round == "Round 9"
    assert engine.cms.games["game-1"].grade_id == "grade-2"


def test_unreadable_records_hold_back_the_readable_ones_of_their_answer(engine: Engine) -> None:
    engine.world.games["game-1"] = replace(engine.world.games["game-1"], round="Round 9")
    engine.world.unreadable["grade-1"] = [
        Quarantined(kind=RecordKind.GAME, record_id=f"game-x{number}", reason="no status")
        for number in range(5)
    ]
    run = engine.sync_association()

    assert engine.cms.games["game-1"].round == "Round 1"
    (hold,) = run.holds
    assert (hold.guard, hold.stage, hold.change_count) == (Guard.QUARANTINE, Stage.GAMES, 1)
    approve(engine, run)
    assert engine.cms.games["game-1"].round == "Round 9"


def test_a_listing_of_teams_below_its_median_waits(engine: Engine) -> None:
    for number in range(10, 30):
        engine.world.teams[f"team-{number}"] = team(number)
    for _ in range(3):
        engine.sync_association()
    for number in range(10, 29):
        del engine.world.teams[f"team-{number}"]
    engine.world.teams["team-29"] = replace(engine.world.teams["team-29"], name="Renamed")
    run = engine.sync_association()

    (hold,) = run.holds
    assert (hold.guard, hold.stage, hold.change_count, hold.size) == (Guard.SHRINK, Stage.TEAMS, 1, 7)
    assert hold.reason == "7 are listed, usual are 26"
    assert engine.cms.teams["team-29"].name == "Team 29"

    approve(engine, run)
    assert engine.cms.teams["team-29"].name == "Renamed"
    # What was approved is usual from then on.
    assert engine.sync_association().outcome is Outcome.SUCCEEDED


def test_a_doubted_listing_never_becomes_usual_by_itself(engine: Engine) -> None:
    for number in range(10, 30):
        engine.world.teams[f"team-{number}"] = team(number)
    engine.sync_association()
    for number in range(10, 30):
        del engine.world.teams[f"team-{number}"]
    outcomes = {engine.sync_association().outcome for _ in range(10)}
    assert outcomes == {Outcome.PARTIAL}


def test_zero_seasons_are_believed_once_a_person_says_so(engine: Engine) -> None:
    engine.world.seasons.clear()
    with pytest.raises(UnexpectedResponse, match="no season"):
        engine.sync_association()
    run = engine.announced[-1]
    assert run.state is RunState.FAILED
    assert [hold.guard for hold in run.holds] == [Guard.NO_SEASONS]
    before = engine.cms.stored()

    act = approve(engine, run)
    assert act.run is not None
    assert act.run.outcome is Outcome.SUCCEEDED
    assert engine.cms.stored() == before
    # Stored seasons that still run are looked at as before.
    assert engine.sync_association().outcome is Outcome.SUCCEEDED


def test_an_association_that_never_had_a_season_may_be_approved() -> None:
    engine = Engine()
    engine.world.seasons.clear()
    with pytest.raises(UnexpectedResponse):
        engine.sync_association()
    approve(engine, engine.announced[-1])
    assert engine.sync_association().outcome is Outcome.SUCCEEDED


def test_limits_are_the_rules_of_the_run(engine: Engine) -> None:
    engine.rules = replace(engine.rules, limits=replace(GENEROUS, shrink_max_share=0.2))
    drop_games(engine, range(1, 4))
    assert {hold.guard for hold in engine.sync_association().holds} == {Guard.SHRINK}


def test_a_held_grade_is_planned_anew_by_the_next_attempt(engine: Engine) -> None:
    """What an interrupted attempt held back is not lost, and not held twice."""
    drop_games(engine, range(1, 7))
    engine.world.games["game-7"] = replace(engine.world.games["game-7"], round="Round 9")
    undisturbed = engine.sync_association()
    request = engine.request(undisturbed.mode, account_id=undisturbed.account_id)

    def stop(operation: str) -> None:
        if operation == "record_absences":
            engine.cms.before = lambda _: None
            raise InterruptedError

    engine.cms.before = stop
    with pytest.raises(InterruptedError):
        engine.perform(request)
    run = engine.perform(request)
    assert run.plan_hash == undisturbed.plan_hash
    assert len(engine.cms.plans[run.id]) == 1


def test_the_organisation_of_another_grade_is_not_held(engine: Engine) -> None:
    engine.world.grades["grade-3"] = grade(3)
    run = engine.sync_association()
    assert not run.holds
    assert f"playhq:{ASSOCIATION}" in engine.sizes.sizes
