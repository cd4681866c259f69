"""Removals: never a false one, never too many, never of history."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from sync.changes import Action
from sync.context import Rules
from sync.errors import RateLimited
from sync.guard import Limits
from sync.model import RecordKind
from sync.ports import Quarantined
from sync.report import Mode, Outcome, Stage
from tests.fakes import nothing_fails
from tests.unit.sync.engine import ASSOCIATION_ACCOUNT, TODAY, Engine, game, grade


@pytest.fixture
def engine() -> Engine:
    """Everything is stored, and the provider has dropped the upcoming game 4 since."""
    engine = Engine(rules=Rules(removal_confirmations=3, limits=Limits(removal_max_share=0.5)))
    engine.sync_association()
    del engine.world.games["game-4"]
    return engine


def sync_on_days(engine: Engine, days: int) -> None:
    for _ in range(days):
        engine.sync_association()
        engine.clock.pass_days(1)


def test_a_game_is_removed_softly_after_absences_on_enough_days(engine: Engine) -> None:
    gone = engine.cms.games["game-4"]
    sync_on_days(engine, 2)
    assert "game-4" in engine.cms.games
    run = engine.sync_association()
    assert engine.cms.removed == {"game-4": gone}
    assert run.stages[Stage.FIXTURE_CLEANUP].removed == 1
    assert run.outcome is Outcome.SUCCEEDED
    cause = next(change.cause for *_, change in engine.cms.history if change.action is Action.REMOVED)
    assert cause == "missing from the fixture on 3 days"


def test_a_game_that_the_provider_marks_as_deleted_is_removed_after_as_many_days(engine: Engine) -> None:
    engine.world.deleted_ids = {"game-4"}
    sync_on_days(engine, 2)
    assert "game-4" in engine.cms.games
    engine.sync_association()
    assert set(engine.cms.removed) == {"game-4"}


def test_a_validation_of_its_own_removes_what_is_marked_as_deleted(engine: Engine) -> None:
    engine.world.deleted_ids = {"game-4"}
    for _ in range(3):
        engine.sync_association("validation-only")
        engine.clock.pass_days(1)
    assert set(engine.cms.removed) == {"game-4"}


def test_absence_proves_nothing_where_deletions_are_marked(engine: Engine) -> None:
    engine.world.deleted_ids = set()
    sync_on_days(engine, 5)
    engine.sync_association("validation-only")
    assert "game-4" in engine.cms.games


def test_a_deletion_that_is_taken_back_counts_from_zero(engine: Engine) -> None:
    engine.world.deleted_ids = {"game-4"}
    sync_on_days(engine, 2)
    engine.world.deleted_ids = set()
    sync_on_days(engine, 1)
    engine.world.deleted_ids = {"game-4"}
    sync_on_days(engine, 2)
    assert "game-4" in engine.cms.games


def test_many_syncs_on_one_day_are_one_absence(engine: Engine) -> None:
    for _ in range(5):
        engine.sync_association()
    assert "game-4" in engine.cms.games


def test_a_game_that_comes_back_in_between_is_counted_from_zero(engine: Engine) -> None:
    gone = engine.cms.games["game-4"]
    sync_on_days(engine, 2)
    engine.world.games["game-4"] = gone
    sync_on_days(engine, 1)
    del engine.world.games["game-4"]
    sync_on_days(engine, 2)
    assert "game-4" in engine.cms.games


def test_a_removed_game_that_comes_back_is_restored(engine: Engine) -> None:
    gone = engine.cms.games["game-4"]
    sync_on_days(engine, 3)
    assert "game-4" in engine.cms.removed
    engine.world.games["game-4"] = replace(gone, round="Round 7")
    engine.sync_association()
    assert engine.cms.games["game-4"].round == "Round 7"
    assert engine.cms.removed == {}
    restored = [change for *_, change in engine.cms.history if change.action is Action.RESTORED]
    assert [(change.record_id, [field.name for field in change.fields]) for change in restored] == [
        ("game-4", ["round"])
    ]


def test_history_is_never_cleaned(engine: Engine) -> None:
    del engine.world.games["game-1"]
    sync_on_days(engine, 4)
    assert "game-1" in engine.cms.games


def test_a_failed_fetch_never_removes_games(engine: Engine) -> None:
    def fail(operation: str) -> None:
        if operation.startswith("fixture of grade-1"):
            raise RateLimited("429", retry_after_s=1)

    for _ in range(4):
        engine.sources.before = fail
        with pytest.raises(RateLimited):
            engine.sync_association()
        engine.clock.pass_days(1)
    engine.sources.before = nothing_fails
    assert "game-4" in engine.cms.games
    assert engine.cms.absences == {}


def test_an_unreadable_game_without_an_id_proves_nothing(engine: Engine) -> None:
    engine.world.unreadable["grade-1"] = [
        Quarantined(kind=RecordKind.GAME, record_id=None, reason="no id at all")
    ]
    sync_on_days(engine, 4)
    assert "game-4" in engine.cms.games


def test_an_unreadable_game_is_not_a_missing_one(engine: Engine) -> None:
    engine.world.unreadable["grade-1"] = [
        Quarantined(kind=RecordKind.GAME, record_id="game-4", reason="no status")
    ]
    sync_on_days(engine, 4)
    assert "game-4" in engine.cms.games


def test_an_emptied_fixture_is_held_back_for_a_person(engine: Engine) -> None:
    for game_id in [g.id for g in engine.world.games.values() if g.grade_id == "grade-1"]:
        del engine.world.games[game_id]
    for _ in range(4):
        run = engine.sync_association()
        engine.clock.pass_days(1)
    assert len(engine.cms.games) == 6
    assert run.outcome is Outcome.PARTIAL
    assert "the listing is empty, 5 are stored" in str(run.stages[Stage.FIXTURE_VALIDATION].message)


def test_a_club_whose_games_all_vanish_is_held_back_although_others_still_play() -> None:
    engine = Engine(rules=Rules(removal_confirmations=1))
    engine.sync_club()
    for game_id in engine.cms.games:
        del engine.world.games[game_id]
    run = engine.sync_club()
    assert len(engine.cms.games) == 4
    assert run.outcome is Outcome.PARTIAL
    assert "4 of 4 stored are missing" in str(run.stages[Stage.FIXTURE_VALIDATION].message)


def test_more_removals_than_the_ceiling_are_all_held_back_and_the_rest_goes_on(engine: Engine) -> None:
    engine.rules = Rules(removal_confirmations=1, limits=Limits(removal_max_count=1, shrink_max_share=0.9))
    del engine.world.games["game-5"]
    engine.world.games["game-3"] = replace(engine.world.games["game-3"], round="Round 2")
    run = engine.sync_association()
    assert engine.cms.removed == {}
    assert run.outcome is Outcome.PARTIAL
    assert "2 removals are held back: more than 1" in str(run.stages[Stage.FIXTURE_CLEANUP].message)
    assert engine.cms.games["game-3"].round == "Round 2"


def test_a_game_moved_to_another_grade_is_an_update_and_no_absence(engine: Engine) -> None:
    engine.rules = Rules(removal_confirmations=1)
    engine.world.games["game-3"] = replace(engine.world.games["game-3"], grade_id="grade-2")
    engine.world.games["game-4"] = game(4, home=1, away=2, day=TODAY + timedelta(days=7))
    run = engine.sync_association()
    assert engine.cms.removed == {}
    assert engine.cms.games["game-3"].grade_id == "grade-2"
    assert run.stages[Stage.GAMES].updated >= 1
    assert engine.cms.absences == {}


def test_validation_only_fetches_for_itself(engine: Engine) -> None:
    sync_on_days(engine, 2)
    engine.sources.opened.clear()
    run = engine.sync_association("validation-only")
    assert set(run.stages) == {Stage.FIXTURE_VALIDATION, Stage.FIXTURE_CLEANUP, Stage.TRACKING}
    assert sorted(engine.sources.asked) == ["fixture of grade-1", "fixture of grade-2"]
    assert "game-4" in engine.cms.removed


@pytest.mark.parametrize("preset", ["quick", "data-only", "minimal"])
def test_presets_without_validation_remove_nothing(engine: Engine, preset: str) -> None:
    for _ in range(4):
        engine.sync_association(preset)
        engine.clock.pass_days(1)
    assert "game-4" in engine.cms.games


def test_cleanup_without_validation_warns_and_does_nothing(engine: Engine) -> None:
    sync_run = replace(engine.sync_run, presets={"full": frozenset({Stage.FIXTURE_CLEANUP, Stage.TRACKING})})
    run = sync_run.perform(engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT))
    report = run.stages[Stage.FIXTURE_CLEANUP]
    assert report.outcome is Outcome.SKIPPED
    assert report.message == "needs fixture-validation, which the preset leaves out"
    assert run.outcome is Outcome.SUCCEEDED


def test_a_club_removes_its_regraded_teams_game_from_the_old_grade() -> None:
    engine = Engine(rules=Rules(removal_confirmations=2, limits=Limits(removal_max_share=0.5)))
    engine.sync_club()
    engine.world.grades["grade-3"] = grade(3)
    engine.world.teams["team-1"] = replace(engine.world.teams["team-1"], grade_id="grade-3")
    del engine.world.games["game-4"]
    for _ in range(2):
        engine.sync_club()
        engine.clock.pass_days(1)
    assert "game-4" in engine.cms.removed
    # Its older games stay where they were played.
    assert engine.cms.games["game-1"].grade_id == "grade-1"
