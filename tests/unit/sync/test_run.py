"""One run: what is stored, what is counted, who is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync.changes import Action
from sync.errors import InvalidRequest
from sync.report import Mode, Outcome, RunState, Stage
from tests.unit.sync.engine import (
    ASSOCIATION,
    ASSOCIATION_ACCOUNT,
    CLUB_ACCOUNT,
    HAWKS,
    TODAY,
    Engine,
    grade,
    season,
    team,
)


@pytest.fixture
def engine() -> Engine:
    return Engine()


def test_an_association_gets_everything_of_its_kept_seasons(engine: Engine) -> None:
    run = engine.sync_association()
    assert run.outcome is Outcome.SUCCEEDED
    assert engine.cms.teams == engine.world.teams
    assert engine.cms.games == engine.world.games
    assert engine.cms.ladders == engine.world.ladders
    # A completed season is recorded; its grades are history.
    assert set(engine.cms.seasons) == {"season-1", "season-2"}
    assert set(engine.cms.grades) == {"grade-1", "grade-2"}


def test_a_club_gets_its_games_and_every_team_of_its_grades(engine: Engine) -> None:
    engine.sync_club()
    assert set(engine.cms.games) == {"game-1", "game-3", "game-4", "game-5"}
    assert set(engine.cms.teams) == {"team-1", "team-2", "team-3"}
    assert set(engine.cms.ladders) == {"grade-1:overall:"}


def test_season_days_come_from_the_games(engine: Engine) -> None:
    engine.sync_association()
    season = engine.cms.seasons["season-1"]
    assert season.first_day is not None
    assert season.last_day is not None
    assert (TODAY - season.first_day).days == 40
    assert (season.last_day - TODAY).days == 7


@pytest.mark.parametrize("mode", [Mode.ASSOCIATION_DIRECT, Mode.CLUB_DIRECT])
def test_a_direct_sync_needs_no_account_and_writes_no_flag(engine: Engine, mode: Mode) -> None:
    engine.cms.accounts.clear()
    organisation_id = HAWKS if mode is Mode.CLUB_DIRECT else ASSOCIATION
    run = engine.perform(engine.request(mode, organisation_id=organisation_id.upper()))
    assert run.outcome is Outcome.SUCCEEDED
    assert engine.cms.games
    assert engine.cms.flag_writes == []


def test_the_same_inputs_twice_write_nothing(engine: Engine) -> None:
    for _ in range(2):
        engine.sync_association()
        engine.sync_club()
    written = len(engine.cms.history)
    run = engine.sync_association()
    assert len(engine.cms.history) == written
    assert all(report.created == report.updated == report.removed == 0 for report in run.stages.values())
    assert run.stages[Stage.GAMES].unchanged == run.stages[Stage.GAMES].read > 0


def test_counts_are_those_of_the_written_changes(engine: Engine) -> None:
    run = engine.sync_association()
    for stage, report in run.stages.items():
        written = [change for _, at, change in engine.cms.history if at is stage]
        created = [change for change in written if change.action is Action.CREATED]
        assert report.created == len(created)
        if stage is not Stage.FIXTURE_VALIDATION:
            assert report.read == report.created + report.updated + report.unchanged + report.quarantined


def test_account_of_the_wrong_type_is_refused_in_one_clear_sentence(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match=r"account 1 \(District\) is of type association, not club"):
        engine.perform(engine.request(Mode.CLUB, account_id=ASSOCIATION_ACCOUNT))
    (run,) = engine.announced
    assert run.state is RunState.FAILED
    assert engine.cms.history == []


def test_an_unknown_account_fails_the_run(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="account 999 does not exist"):
        engine.perform(engine.request(Mode.CLUB, account_id=999))
    assert [run.state for run in engine.announced] == [RunState.FAILED]


@pytest.mark.parametrize(
    ("mode", "organisation_id"), [(Mode.CLUB_DIRECT, ASSOCIATION), (Mode.ASSOCIATION_DIRECT, HAWKS)]
)
@pytest.mark.parametrize("is_known", [True, False])
def test_organisation_of_the_wrong_type_is_refused(
    engine: Engine, mode: Mode, organisation_id: str, *, is_known: bool
) -> None:
    if not is_known:
        engine.cms.organisations.clear()
    with pytest.raises(InvalidRequest, match=organisation_id):
        engine.perform(engine.request(mode, organisation_id=organisation_id))
    assert engine.cms.history == []


def test_organisation_of_another_provider_with_the_same_id_is_refused(engine: Engine) -> None:
    """What is stored of the one would be taken for the other's."""
    request = replace(engine.request(Mode.ASSOCIATION_DIRECT, organisation_id=ASSOCIATION), provider="tennis")
    with pytest.raises(InvalidRequest, match=f"{ASSOCIATION} is stored as one of .*, not tennis"):
        engine.perform(request)
    assert engine.cms.history == []


def test_an_unknown_preset_fails_the_run(engine: Engine) -> None:
    with pytest.raises(InvalidRequest, match="'everything' is not known; one of full, quick"):
        engine.sync_association("everything")


def test_an_update_shows_itself_while_it_runs(engine: Engine) -> None:
    seen = []
    engine.sources.before = lambda _: seen.append(engine.cms.accounts[CLUB_ACCOUNT].is_updating)
    engine.perform(engine.request(Mode.UPDATE, account_id=CLUB_ACCOUNT))
    assert seen
    assert all(seen)
    assert not engine.cms.accounts[CLUB_ACCOUNT].is_updating


def test_the_next_sync_is_let_in_before_anybody_can_see_the_verdict(engine: Engine) -> None:
    engine.sync_club()
    assert engine.let_in == [RunState.RUNNING]


def test_flags_are_set_before_the_run_is_announced(engine: Engine) -> None:
    engine.perform(engine.request(Mode.ONBOARDING, account_id=CLUB_ACCOUNT))
    assert engine.cms.accounts[CLUB_ACCOUNT].is_setup
    assert [run.mode for run in engine.announced] == [Mode.ONBOARDING]


def test_club_associations_are_learned_and_remembered(engine: Engine) -> None:
    engine.sync_club()
    organisation = next(o for (_, key), o in engine.cms.organisations.items() if key == HAWKS)
    assert organisation.association_ids == (ASSOCIATION,)


@pytest.mark.parametrize("is_patient", [False, True])
def test_a_club_is_followed_to_a_new_association(engine: Engine, *, is_patient: bool) -> None:
    def sync() -> None:
        request = engine.request(Mode.CLUB_DIRECT, organisation_id=HAWKS)
        engine.perform(replace(request, is_patient=is_patient))

    sync()
    entered = season(7, association_id="association-7")
    engine.world.seasons[entered.id] = entered
    engine.world.grades["grade-7"] = grade(7, entered.id)
    engine.world.teams["team-7"] = team(7, grade_id="grade-7", season_id=entered.id)
    nights = 7 if is_patient else 1
    for _ in range(nights):
        engine.clock.pass_days(1)
        sync()
    assert {"team-1", "team-7"} <= engine.cms.teams.keys()
    learned = engine.sources.asked.count(f"seasons of {HAWKS}")
    assert learned == 2, "once at first, and once more within the week"


def test_a_club_whose_own_listing_fails_is_read_through_what_is_known(engine: Engine) -> None:
    engine.perform(engine.request(Mode.CLUB_DIRECT, organisation_id=HAWKS))
    engine.world.hidden_ids.add(HAWKS)
    run = engine.perform(engine.request(Mode.CLUB_DIRECT, organisation_id=HAWKS))
    assert run.outcome is Outcome.SUCCEEDED
