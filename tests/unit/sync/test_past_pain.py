"""What hurt in the service before this one, each once, so that it cannot come back.

The names tell the symptom; what is demanded instead stands in the test.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sync.changes import Action
from sync.concurrency import InThreads
from sync.context import Rules
from sync.errors import AccountBusy, NotFound, ProviderUnavailable, RateLimited, UnexpectedResponse
from sync.model import RecordKind
from sync.presets import PRESETS, stages_of
from sync.report import Mode, Outcome, RunState, Stage
from tests.fakes import nothing_fails
from tests.unit.sync.engine import ASSOCIATION_ACCOUNT, CLUB_ACCOUNT, HAWKS, Engine, game, team


@pytest.fixture
def engine() -> Engine:
    return Engine()


def with_more_games(engine: Engine) -> Engine:
    """The same grades with five times as many games."""
    engine.world.games.update({f"game-{number}": game(number) for number in range(100, 130)})
    return engine


def test_a_request_for_each_team_and_each_game(engine: Engine) -> None:
    """What is asked of the provider follows from seasons and grades alone."""
    more = with_more_games(Engine())
    assert engine.sync_association().outcome is more.sync_association().outcome is Outcome.SUCCEEDED
    assert len(more.cms.games) == len(engine.cms.games) + 30
    assert sorted(more.sources.asked) == sorted(engine.sources.asked)
    assert not [asked for asked in engine.sources.asked if "game-" in asked or "team-" in asked]


def test_a_lookup_for_each_team_and_each_game() -> None:
    """The stored records are read grade by grade, however many there are."""
    reads: list[list[str]] = []
    for engine in (Engine(), with_more_games(Engine())):
        engine.sync_association()
        reads.append([])
        engine.cms.before = reads[-1].append
        engine.sync_association()
    assert "read_games" in reads[0]
    assert reads[0] == reads[1]


def test_memory_of_a_whole_association(engine: Engine) -> None:
    """Each grade is written before the next one is fetched."""
    written: list[set[str]] = []

    def before(operation: str) -> None:
        if operation.startswith("fixture"):
            written.append(set(engine.cms.games))

    engine.sources.before = before
    engine.sync_association()
    assert written == [set(), {"game-1", "game-2", "game-3", "game-4", "game-5"}]


def test_unhandled_rejections_of_detached_work() -> None:
    """No work outlives its stage, not even when another unit of it fails."""
    running = threading.Semaphore(0)
    ended: list[int] = []
    others = set(threading.enumerate())

    def work(unit: int) -> None:
        if unit == 0:
            running.acquire()
            raise ZeroDivisionError
        running.release()
        ended.append(unit)

    with pytest.raises(ZeroDivisionError):
        list(InThreads(2)(work, range(2)))
    assert ended == [1]
    assert not [thread for thread in set(threading.enumerate()) - others if "ThreadPool" in thread.name]


def test_a_global_pause_as_a_lock(engine: Engine) -> None:
    """Two organisations are synced at once; only the same one excludes itself."""
    seen: list[RunState] = []

    def sync_the_other(operation: str) -> None:
        if operation.startswith("fixture of grade-2"):
            engine.sources.before = nothing_fails
            seen.append(engine.sync_club().state)

    engine.sources.before = sync_the_other
    engine.sync_association()
    assert seen == [RunState.SUCCEEDED]


def test_a_refused_job_was_recorded_as_failed_and_lost(engine: Engine) -> None:
    request = engine.request(Mode.CLUB, account_id=CLUB_ACCOUNT)
    with engine.leases.hold(f"playhq:{HAWKS}", owner="another run"), pytest.raises(AccountBusy) as busy:
        engine.perform(request)
    assert busy.value.retry_after_s > 0
    assert engine.perform(request).state is RunState.SUCCEEDED
    assert len(engine.announced) == 1


@pytest.mark.parametrize("where", ["grades", "teams", "fixture"])
def test_every_run_completed_with_all_stages_failed(engine: Engine, where: str) -> None:
    def before(operation: str) -> None:
        if operation.startswith(where):
            raise UnexpectedResponse("not JSON")

    engine.sources.before = before
    with pytest.raises(UnexpectedResponse):
        engine.perform(engine.request(Mode.ONBOARDING, account_id=ASSOCIATION_ACCOUNT))
    (run,) = engine.announced
    assert run.outcome is Outcome.FAILED
    assert not engine.cms.accounts[ASSOCIATION_ACCOUNT].is_setup


def test_null_was_taken_for_nothing_found(engine: Engine) -> None:
    """A failed read of the stored games is a failure, never an empty store to fill again."""

    def before(operation: str) -> None:
        if operation == "read_games":
            raise ProviderUnavailable("503")

    engine.sync_association()
    written = len(engine.cms.history)
    engine.cms.before = before
    with pytest.raises(ProviderUnavailable):
        engine.sync_association()
    assert len(engine.cms.history) == written


def test_writes_although_nothing_differed(engine: Engine) -> None:
    engine.sync_association()
    written = len(engine.cms.history)
    engine.clock.pass_days(1)
    engine.sync_association()
    assert len(engine.cms.history) == written


def test_an_update_wiped_what_it_did_not_know(engine: Engine) -> None:
    """Without its name in today's answer a team keeps the one it had."""
    engine.sync_association()
    engine.world.teams["team-1"] = replace(engine.world.teams["team-1"], name=None)
    engine.sync_association()
    assert engine.cms.teams["team-1"].name == "Team 1"


def test_duplicates_after_the_next_run(engine: Engine) -> None:
    for _ in range(3):
        engine.sync_association()
        engine.sync_club()
    created = [(c.kind, c.record_id) for *_, c in engine.cms.history if c.action is Action.CREATED]
    assert len(created) == len(set(created))


def test_permanent_deletion_on_one_glance(engine: Engine) -> None:
    engine.sync_association()
    del engine.world.games["game-4"]
    engine.sync_association()
    assert "game-4" in engine.cms.games


def test_a_network_fault_counted_as_not_found(engine: Engine) -> None:
    engine.rules = Rules(removal_confirmations=1)
    engine.sync_association()

    def before(operation: str) -> None:
        if operation.startswith("fixture of grade-1"):
            raise ProviderUnavailable("connection reset")

    engine.sources.before = before
    with pytest.raises(ProviderUnavailable):
        engine.sync_association()
    assert len(engine.cms.games) == 6
    assert engine.cms.absences == {}


def test_counters_of_one_run_ran_into_the_next(engine: Engine) -> None:
    first = engine.sync_association()
    second = engine.sync_association()
    assert first.stages[Stage.GAMES].created > 0
    assert second.stages[Stage.GAMES].created == 0
    assert second.stages[Stage.GAMES].read == first.stages[Stage.GAMES].read - _days_written(engine)


def _days_written(engine: Engine) -> int:
    """The seasons whose days a first sync learned; they count where they are written."""
    return len(
        [
            change
            for _, stage, change in engine.cms.history
            if stage is Stage.GAMES and change.kind is RecordKind.SEASON
        ]
    )


def test_documented_switches_that_did_nothing(engine: Engine) -> None:
    for preset in PRESETS:
        assert set(engine.sync_association(preset).stages) == set(stages_of(preset))


def test_the_end_was_told_two_or_three_times(engine: Engine) -> None:
    request = engine.request(Mode.UPDATE, account_id=CLUB_ACCOUNT)
    for _ in range(3):
        engine.perform(request)
    engine.sync_run.closing.finish_as_failed(request.run_id, NotFound("too late"))
    assert [run.state for run in engine.announced] == [RunState.SUCCEEDED]


def test_a_crash_half_way_started_from_zero(engine: Engine) -> None:
    def before(operation: str) -> None:
        if operation == "fixture of grade-2":
            raise RateLimited("429", retry_after_s=1)

    engine.sources.before = before
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    with pytest.raises(RateLimited):
        engine.perform(request)
    engine.sources.before = nothing_fails
    engine.perform(request)
    assert engine.sources.asked.count("fixture of grade-1") == 1


def test_resume_or_restart_is_a_choice(engine: Engine) -> None:
    """Interrupted twice: a restart begins anew once, and then goes on like any run."""
    stopped = RateLimited("429", retry_after_s=1)
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    engine.sources.before = raising_at("fixture of grade-2", stopped)
    with pytest.raises(RateLimited):
        engine.perform(request)
    restart = replace(request, is_restart=True, requested_at=request.requested_at + timedelta(seconds=5))
    with pytest.raises(RateLimited):
        engine.perform(restart)
    engine.sources.before = nothing_fails
    run = engine.perform(restart)
    assert run.outcome is Outcome.SUCCEEDED
    assert engine.sources.asked.count("fixture of grade-1") == 2


def raising_at(where: str, error: Exception) -> Callable[[str], None]:
    def before(operation: str) -> None:
        if operation == where:
            raise error

    return before


def test_nobody_could_say_why_a_game_changed(engine: Engine) -> None:
    engine.sync_association()
    engine.world.games["game-3"] = replace(engine.world.games["game-3"], round="Round 2")
    run = engine.sync_association()
    ((run_id, stage, change),) = [
        entry for entry in engine.cms.history if entry[2].action is Action.UPDATED and entry[0] == run.id
    ]
    assert (run_id, stage, change.record_id) == (run.id, Stage.GAMES, "game-3")
    assert change.before == replace(engine.world.games["game-3"], round="Round 1")
    assert [(field.name, field.before, field.after) for field in change.fields] == [
        ("round", "Round 1", "Round 2")
    ]


def test_a_game_was_dropped_when_a_team_was_unknown(engine: Engine) -> None:
    """A team that only a fixture knows is stored with what the fixture tells."""
    stranger = team(77, club=None, grade_id=None)
    engine.world.games["game-7"] = replace(game(7), away_id=stranger.id)
    engine.world.fixture_names[stranger.id] = "Strangers"
    run = engine.sync_association()
    assert run.outcome is Outcome.SUCCEEDED
    assert engine.cms.teams[stranger.id].name == "Strangers"
    assert "game-7" in engine.cms.games


def test_the_newest_season_was_missing_for_a_club(engine: Engine) -> None:
    """A club is read through its associations, whose listings are complete."""
    own = engine.cms.accounts[CLUB_ACCOUNT]
    associations = tuple({season.association_id for season in engine.world.seasons.values()})
    engine.cms.accounts[CLUB_ACCOUNT] = replace(
        own, organisation=replace(own.organisation, association_ids=associations)
    )
    engine.sync_club()
    assert {f"seasons of {association}" for association in associations} <= set(engine.sources.asked)
    assert engine.cms.games
