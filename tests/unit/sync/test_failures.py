"""What goes wrong in a run, what becomes of it, and how the next attempt goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sync.errors import (
    AccountBusy,
    CmsUnavailable,
    CredentialsRejected,
    LeaseLost,
    NotFound,
    ProviderUnavailable,
    RateLimited,
    Stopping,
    SyncError,
    UnexpectedResponse,
)
from sync.model import RecordKind
from sync.ports import Quarantined
from sync.report import Mode, Outcome, RunState, Stage
from tests.fakes import World, nothing_fails
from tests.unit.sync.engine import (
    ASSOCIATION,
    ASSOCIATION_ACCOUNT,
    CLUB_ACCOUNT,
    HAWKS,
    Engine,
    grade,
)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def failing(where: str, error: SyncError, *, times: int = 1000) -> Callable[[str], None]:
    left = [times]

    def before(operation: str) -> None:
        if operation.startswith(where) and left[0]:
            left[0] -= 1
            raise error

    return before


def test_zero_seasons_fail_the_run_with_a_clear_message(engine: Engine) -> None:
    engine.world.seasons.clear()
    with pytest.raises(UnexpectedResponse, match=f"no season for association {ASSOCIATION}"):
        engine.sync_association()
    (run,) = engine.announced
    assert run.outcome is Outcome.FAILED
    assert run.message is not None
    assert "tenant" in run.message
    assert run.stages[Stage.COMPETITIONS].outcome is Outcome.FAILED
    assert run.stages[Stage.TEAMS].outcome is Outcome.SKIPPED


def test_one_unreadable_grade_makes_the_run_partial_and_the_rest_goes_on(engine: Engine) -> None:
    engine.sources.before = failing("fixture of grade-2", UnexpectedResponse("not JSON"))
    run = engine.sync_association()
    assert run.outcome is Outcome.PARTIAL
    assert set(engine.cms.games) == {"game-1", "game-2", "game-3", "game-4", "game-5"}
    assert run.message == "games: grade Grade 2 (grade-2): not JSON"
    assert not engine.cms.accounts[ASSOCIATION_ACCOUNT].is_setup


def test_a_refused_key_stops_everything_at_once(engine: Engine) -> None:
    engine.sources.before = failing("fixture", CredentialsRejected("the provider refused our key"))
    with pytest.raises(CredentialsRejected):
        engine.sync_association()
    assert len([asked for asked in engine.sources.asked if asked.startswith("fixture")]) == 1
    assert [run.state for run in engine.announced] == [RunState.FAILED]


@pytest.mark.parametrize(
    "error",
    [
        ProviderUnavailable("503"),
        RateLimited("429", retry_after_s=7),
        Stopping("the worker drains", retry_after_s=0),
    ],
)
@pytest.mark.parametrize("where", ["seasons", "grades", "teams", "fixture", "ladders"])
def test_an_interrupted_run_is_deferred_and_goes_on(engine: Engine, where: str, error: SyncError) -> None:
    engine.sources.before = failing(where, error)
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    with pytest.raises(type(error)):
        engine.perform(request)
    assert engine.runs.find(request.run_id).state is RunState.DEFERRED
    assert engine.announced == []
    assert engine.leases.holders == {}

    engine.sources.before = nothing_fails
    run = engine.perform(request)
    assert run.outcome is Outcome.SUCCEEDED
    assert engine.cms.games == engine.world.games
    assert len(engine.announced) == 1


def test_a_run_goes_on_where_it_stopped(engine: Engine) -> None:
    engine.sources.before = failing("fixture of grade-2", RateLimited("429", retry_after_s=7))
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    with pytest.raises(RateLimited):
        engine.perform(request)
    engine.sources.before = nothing_fails
    run = engine.perform(request)
    assert engine.sources.asked.count("fixture of grade-1") == 1
    assert run.requests.sent == len(engine.sources.asked)


def test_counts_of_several_attempts_are_those_of_one(engine: Engine) -> None:
    undisturbed = Engine().sync_association()
    engine.cms.after = failing("apply", CmsUnavailable("the answer was lost"), times=1)
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    for where in ("fixture of grade-2", "ladders of grade-2"):
        engine.sources.before = failing(where, RateLimited("429", retry_after_s=7))
        with pytest.raises((RateLimited, CmsUnavailable)):
            engine.perform(request)
    engine.sources.before = nothing_fails
    run = engine.perform(request)
    for stage in (Stage.COMPETITIONS, Stage.TEAMS, Stage.GAMES):
        after, alone = run.stages[stage], undisturbed.stages[stage]
        assert (after.read, after.created, after.unchanged) == (alone.read, alone.created, alone.unchanged)


def test_exhausted_attempts_finish_the_run_with_one_announcement(engine: Engine) -> None:
    error = ProviderUnavailable("503")
    engine.sources.before = failing("seasons", error)
    request = engine.request(Mode.UPDATE, account_id=CLUB_ACCOUNT)
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            engine.perform(request)
        assert not engine.cms.accounts[CLUB_ACCOUNT].is_updating
    for _ in range(2):
        engine.sync_run.closing.finish_as_failed(request.run_id, error)
    (run,) = engine.announced
    assert (run.state, run.message) == (RunState.FAILED, "503")


def test_exhausted_attempts_of_one_bad_grade_leave_the_run_partial(engine: Engine) -> None:
    error = ProviderUnavailable("503")
    engine.sources.before = failing("fixture of grade-2", error)
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    with pytest.raises(ProviderUnavailable):
        engine.perform(request)
    engine.sync_run.closing.finish_as_failed(request.run_id, error)
    (run,) = engine.announced
    assert run.state is RunState.PARTIAL
    assert run.stages[Stage.GAMES].created > 0


def test_a_busy_account_is_deferred_never_announced_and_never_failed(engine: Engine) -> None:
    request = engine.request(Mode.CLUB, account_id=CLUB_ACCOUNT)
    with engine.leases.hold(f"playhq:{HAWKS}", owner="another run"):
        with pytest.raises(AccountBusy) as busy:
            engine.perform(request)
        assert engine.runs.find(request.run_id).state is RunState.DEFERRED
        engine.sync_run.closing.finish_as_failed(request.run_id, busy.value)
    assert engine.announced == []
    assert engine.sources.asked == []


def test_a_direct_sync_and_an_account_sync_exclude_each_other(engine: Engine) -> None:
    with engine.leases.hold(f"playhq:{HAWKS}", owner="another run"), pytest.raises(AccountBusy):
        engine.perform(engine.request(Mode.CLUB_DIRECT, organisation_id=HAWKS))


def test_a_lost_lease_writes_nothing_more(engine: Engine) -> None:
    def lose(operation: str) -> None:
        if operation.startswith("fixture"):
            engine.leases.pass_on(f"playhq:{ASSOCIATION}", "another run")

    engine.sources.before = lose
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    with pytest.raises(LeaseLost):
        engine.perform(request)
    assert engine.cms.games == {}
    assert engine.runs.find(request.run_id).state is RunState.RUNNING
    assert engine.announced == []


def test_a_crash_between_verdict_and_announcement_announces_once(engine: Engine) -> None:
    request = engine.request(Mode.ONBOARDING, account_id=CLUB_ACCOUNT)
    engine.cms.before = failing("set_flags", CmsUnavailable("down"), times=1)
    with pytest.raises(CmsUnavailable):
        engine.perform(request)
    assert engine.announced == []
    for _ in range(2):
        engine.perform(request)
    assert len(engine.announced) == 1
    assert engine.cms.accounts[CLUB_ACCOUNT].is_setup


def test_a_failed_opening_read_is_tried_again(engine: Engine) -> None:
    engine.cms.before = failing("find_account", CmsUnavailable("the CMS does not answer"))
    request = engine.request(Mode.CLUB, account_id=CLUB_ACCOUNT)
    with pytest.raises(CmsUnavailable) as down:
        engine.perform(request)
    engine.sync_run.closing.finish_as_failed(request.run_id, down.value)
    assert [(run.state, run.message) for run in engine.announced] == [
        (RunState.FAILED, "the CMS does not answer")
    ]


def test_a_failed_run_that_is_asked_for_again_runs_again(engine: Engine) -> None:
    seasons = dict(engine.world.seasons)
    engine.world.seasons.clear()
    request = engine.request(Mode.CLUB, account_id=CLUB_ACCOUNT)
    with pytest.raises(UnexpectedResponse):
        engine.perform(request)
    engine.world.seasons.update(seasons)
    engine.clock.pass_days(1)
    assert engine.perform(request).outcome is Outcome.SUCCEEDED
    assert [run.state for run in engine.announced] == [RunState.FAILED, RunState.SUCCEEDED]


def test_a_bug_leaves_the_run_deferred_for_another_attempt(engine: Engine) -> None:
    def break_down(operation: str) -> None:
        raise ZeroDivisionError(operation)

    engine.sources.before = break_down
    request = engine.request(Mode.UPDATE, account_id=CLUB_ACCOUNT)
    with pytest.raises(ZeroDivisionError):
        engine.perform(request)
    run = engine.runs.find(request.run_id)
    assert run.state is RunState.DEFERRED
    assert str(run.message).startswith("ZeroDivisionError: ")
    assert not engine.cms.accounts[CLUB_ACCOUNT].is_updating


def test_a_provider_that_is_down_is_not_asked_for_every_grade(engine: Engine) -> None:
    for number in range(10, 40):
        engine.world.grades[f"grade-{number}"] = grade(number)
    engine.sources.before = failing("fixture", ProviderUnavailable("503"))
    with pytest.raises(ProviderUnavailable):
        engine.sync_association()
    assert len([asked for asked in engine.sources.asked if asked.startswith("fixture")]) == 3


def test_a_hidden_grade_is_not_an_error_and_removes_nothing(engine: Engine) -> None:
    engine.sync_association()
    engine.world.hidden_ids.add("grade-1")
    run = engine.sync_association()
    assert run.outcome is Outcome.SUCCEEDED
    assert len(engine.cms.games) == 6
    assert engine.cms.absences == {}


def test_a_stored_open_season_that_the_listing_leaves_out_is_read_on(engine: Engine) -> None:
    engine.sync_association()
    engine.world.unlisted_season_ids.add("season-1")
    engine.world.games["game-3"] = replace(engine.world.games["game-3"], round="Round 2")
    run = engine.sync_association()
    assert run.outcome is Outcome.SUCCEEDED
    assert engine.cms.games["game-3"].round == "Round 2"


def test_a_club_plays_in_each_grade_that_its_team_is_listed_in(engine: Engine) -> None:
    hawks = engine.world.teams["team-1"]
    engine.world.teams["team-1 again"] = replace(hawks, grade_id="grade-2")
    engine.world.games["game-6"] = replace(engine.world.games["game-6"], away_id=hawks.id)
    first = engine.sync_club()
    second = engine.sync_club()
    assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert "game-6" in engine.cms.games
    assert engine.cms.teams[hawks.id].grade_id == "grade-1"
    assert [written for written in engine.cms.history if written[0] == second.id] == []


def test_an_unreadable_record_is_counted_and_the_others_are_stored(engine: Engine) -> None:
    engine.world.unreadable["grade-1"] = [
        Quarantined(kind=RecordKind.GAME, record_id="game-x", reason="no status")
    ]
    run = engine.sync_association()
    assert run.outcome is Outcome.SUCCEEDED
    assert run.stages[Stage.GAMES].quarantined == 1
    assert len(engine.cms.games) == 6


def test_an_unreadable_record_is_told_with_its_reason(engine: Engine) -> None:
    engine.world.unreadable["grade-1"] = [
        Quarantined(kind=RecordKind.GAME, record_id="game-x", reason="no status"),
        Quarantined(kind=RecordKind.LADDER, record_id=None, reason="no headers"),
    ]
    told = str(engine.sync_association().stages[Stage.GAMES].message)
    assert "game game-x is unreadable: no status" in told
    assert "ladder without an id is unreadable: no headers" in told


def test_too_many_unreadable_records_hold_back_the_whole_grade(engine: Engine) -> None:
    engine.world.unreadable["grade-1"] = [
        Quarantined(kind=RecordKind.GAME, record_id=f"game-x{number}", reason="no status")
        for number in range(3)
    ]
    run = engine.sync_association()
    assert run.outcome is Outcome.PARTIAL
    told = str(run.stages[Stage.GAMES].message)
    assert "3 of 9 records are unreadable, the first because of: no status" in told
    assert set(engine.cms.games) == {"game-6"}


def test_a_record_that_the_cms_refuses_does_not_stop_the_others(engine: Engine) -> None:
    engine.cms.refused_ids.add("game-3")
    run = engine.sync_association()
    assert run.stages[Stage.GAMES].quarantined == 1
    assert str(run.message).startswith("games: the CMS refused game game-3: ")
    assert len(engine.cms.games) == 5
    assert run.outcome is Outcome.PARTIAL
    assert not engine.cms.accounts[ASSOCIATION_ACCOUNT].is_setup


def test_a_cms_that_refuses_most_records_is_told_with_how_many(engine: Engine) -> None:
    engine.cms.refused_ids |= engine.world.games.keys()
    run = engine.sync_association()
    assert run.outcome is Outcome.PARTIAL
    assert "games: 6 of 10 records were not stored; the CMS refused game" in str(run.message)


def test_a_refusal_is_told_by_the_attempt_that_goes_on(engine: Engine) -> None:
    engine.cms.refused_ids.add("game-3")
    engine.sources.before = failing("fixture of grade-2", RateLimited("429", retry_after_s=7), times=1)
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    with pytest.raises(RateLimited):
        engine.perform(request)
    run = engine.perform(request)
    assert engine.sources.asked.count("fixture of grade-1") == 1
    assert run.outcome is Outcome.PARTIAL
    assert "the CMS refused game game-3" in str(run.message)


def test_stage_and_run_tell_their_only_failure_in_the_same_words(engine: Engine) -> None:
    engine.world.hidden_ids.add(ASSOCIATION)
    with pytest.raises(NotFound):
        engine.sync_association()
    (run,) = engine.announced
    assert run.message == f"association {ASSOCIATION} does not exist at the provider"
    assert run.stages[Stage.COMPETITIONS].message == run.message


def test_a_club_with_one_broken_association_is_partial(engine: Engine) -> None:
    club = engine.cms.accounts[CLUB_ACCOUNT]
    associations = (ASSOCIATION, "another-association")
    engine.cms.accounts[CLUB_ACCOUNT] = replace(
        club, organisation=replace(club.organisation, association_ids=associations)
    )
    engine.world.hidden_ids.add("another-association")
    run = engine.sync_club()
    assert run.outcome is Outcome.PARTIAL
    assert "association another-association does not exist at the provider" in str(
        run.stages[Stage.COMPETITIONS].message
    )
    assert engine.cms.games


def test_an_organisation_without_grades_or_games_yet_is_normal(engine: Engine) -> None:
    engine.sources.world = World(seasons=engine.world.seasons)
    run = engine.sync_association()
    assert run.outcome is Outcome.SUCCEEDED
    assert set(engine.cms.seasons) == {"season-1", "season-2"}
