"""What the guard holds back waits for a person, who approves exactly that plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from sync.approval import hash_of
from sync.approval_run import ApprovalRun
from sync.changes import Change
from sync.context import Rules
from sync.errors import AccountBusy, InvalidRequest, NotFound
from sync.guard import Limits
from sync.model import Innings
from sync.plan import plan_removals
from sync.report import Outcome, Run, RunState, Stage
from tests.fakes import FakeCms
from tests.unit.sync.engine import Engine, game

CEILING = Limits(removal_max_count=1, shrink_max_share=0.9)


@dataclass
class HeldByFake:
    cms: FakeCms

    def planned_of_run(self, run_id: str) -> Iterable[Change]:
        return self.cms.plans[run_id]


@pytest.fixture
def engine() -> Engine:
    """Everything is stored, and the provider has dropped two games since."""
    engine = Engine(rules=Rules(removal_confirmations=2, limits=CEILING))
    engine.sync_association()
    del engine.world.games["game-4"], engine.world.games["game-5"]
    engine.sync_association()
    engine.clock.pass_days(1)
    return engine


def approvals(engine: Engine) -> ApprovalRun:
    return ApprovalRun(
        cms=engine.cms,
        runs=engine.runs,
        held=HeldByFake(engine.cms),
        leases=engine.leases,
        clock=engine.clock,
        confirmations=engine.rules.removal_confirmations,
    )


def approve(engine: Engine, held: Run) -> Run:
    plan_hash = held.stages[Stage.FIXTURE_CLEANUP].plan_hash or ""
    run, _ = approvals(engine).perform(held.id, approval_id="approval-1", plan_hash=plan_hash)
    return run


def test_held_plan_is_kept_with_its_run_and_hash(engine: Engine) -> None:
    run = engine.sync_association()
    report = run.stages[Stage.FIXTURE_CLEANUP]

    assert run.outcome is Outcome.PARTIAL
    assert (report.held, report.removed) == (2, 0)
    assert report.plan_hash == hash_of(engine.cms.plans[run.id])
    assert {change.record_id for change in engine.cms.plans[run.id]} == {"game-4", "game-5"}
    assert engine.cms.removed == {}


def test_approval_writes_exactly_the_held_plan_as_a_run_of_its_own(engine: Engine) -> None:
    held = engine.sync_association()
    before = engine.cms.stored()
    run = approve(engine, held)

    assert set(engine.cms.removed) == {"game-4", "game-5"}
    games = {game_id: game for game_id, game in before["games"].items() if game_id not in engine.cms.removed}
    assert engine.cms.stored() == {**before, "games": games}
    assert (run.outcome, run.preset, run.account_id) == (Outcome.SUCCEEDED, "approval", held.account_id)
    assert run.stages[Stage.FIXTURE_CLEANUP].removed == 2
    assert engine.runs.find("approval-1") == run
    assert held.id in str(run.message)


def test_what_changed_since_is_left_and_named(engine: Engine) -> None:
    held = engine.sync_association()
    engine.cms.games["game-4"] = replace(engine.cms.games["game-4"], round="Final")
    run, approval = approvals(engine).perform(
        held.id, approval_id="approval-1", plan_hash=hash_of(engine.cms.plans[held.id])
    )

    assert set(engine.cms.removed) == {"game-5"}
    assert [(kept.record_id, kept.reason) for kept in approval.kept] == [("game-4", "it was edited since")]
    assert run.outcome is Outcome.PARTIAL
    assert "1 records stay as they are" in str(run.message)


def test_a_game_that_the_provider_has_listed_since_is_never_removed(engine: Engine) -> None:
    gone = engine.cms.games["game-4"]
    held = engine.sync_association()
    engine.world.games["game-4"] = gone
    engine.clock.pass_days(1)
    engine.sync_association()
    del engine.world.games["game-4"]
    engine.clock.pass_days(1)
    engine.rules = replace(engine.rules, limits=replace(CEILING, removal_max_count=0))
    engine.sync_association()
    approval = approvals(engine).plan(held.id)

    assert ("game-4", "the provider has listed it since") in [
        (kept.record_id, kept.reason) for kept in approval.kept
    ]


def test_looking_at_the_plan_writes_nothing(engine: Engine) -> None:
    held = engine.sync_association()
    before = engine.cms.stored()
    approval = approvals(engine).plan(held.id)

    assert len(approval.changes) == 2
    assert engine.cms.stored() == before
    assert engine.cms.removed == {}


def test_another_hash_is_refused(engine: Engine) -> None:
    held = engine.sync_association()

    with pytest.raises(InvalidRequest, match=r"holds back plan \w{16}, not 0123"):
        approvals(engine).perform(held.id, approval_id="approval-1", plan_hash="0123")
    assert engine.cms.removed == {}


def test_a_plan_that_is_not_the_one_of_the_verdict_is_refused(engine: Engine) -> None:
    held = engine.sync_association()
    engine.cms.plans[held.id] += plan_removals([engine.cms.games["game-3"]], cause="earlier attempt").changes

    with pytest.raises(InvalidRequest, match="sync again"):
        approve(engine, held)
    assert engine.cms.removed == {}


def test_approving_twice_finds_nothing_left(engine: Engine) -> None:
    held = engine.sync_association()
    approve(engine, held)

    with pytest.raises(InvalidRequest, match="nothing is left"):
        approve(engine, held)


def test_only_an_ended_run_that_held_something_back_can_be_approved(engine: Engine) -> None:
    held = engine.sync_association()
    engine.runs.request(replace(held, id="working", state=RunState.RUNNING))
    engine.runs.request(replace(held, id="plain", stages={}))

    with pytest.raises(InvalidRequest, match="working is running"):
        approvals(engine).plan("working")
    with pytest.raises(InvalidRequest, match="plain holds nothing back"):
        approvals(engine).plan("plain")
    with pytest.raises(NotFound):
        approvals(engine).plan("unknown")


def test_nothing_is_written_beside_a_running_sync(engine: Engine) -> None:
    held = engine.sync_association()

    with (
        engine.leases.hold(f"{held.provider}:{held.organisation_id}", owner="a sync"),
        pytest.raises(AccountBusy),
    ):
        approve(engine, held)


def test_a_dry_run_keeps_no_plan_to_approve(engine: Engine) -> None:
    run = engine.sync_association(is_dry_run=True)

    assert run.stages[Stage.FIXTURE_CLEANUP].held == 2
    assert {change.record_id for change in engine.cms.plans[run.id]}.isdisjoint({"game-4", "game-5"})
    with pytest.raises(InvalidRequest):
        approvals(engine).plan(run.id)


def test_hash_is_the_same_for_whole_overs_in_either_type() -> None:
    hashes = {
        hash_of(plan_removals([replace(game(1), innings=(innings,))], cause="gone").changes)
        for innings in (Innings(team_id="team-1", number=1, overs=overs) for overs in (40, 40.0))
    }
    assert len(hashes) == 1


def test_hash_names_the_changes_whatever_their_order_and_the_zone_of_their_times() -> None:
    plan = plan_removals([game(1), game(2)], cause="gone").changes
    day = game(1).days[0]
    assert day.utc is not None
    same_moment = replace(game(1), days=(replace(day, utc=day.utc.astimezone()),))
    elsewhere = plan_removals([same_moment, game(2)], cause="gone").changes
    other_day = replace(game(1), days=(replace(day, day=day.day + timedelta(days=1)),))
    moved = plan_removals([other_day, game(2)], cause="gone").changes

    assert hash_of(plan) == hash_of(plan[::-1]) == hash_of(elsewhere)
    assert hash_of(plan) != hash_of(plan[:1])
    assert hash_of(plan) != hash_of(moved)
