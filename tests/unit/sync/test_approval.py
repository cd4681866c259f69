"""What waits for a person: held changes and dry runs; who approves gets exactly that plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from sync.by_hand.approval import DecisionVerdict, hash_of
from sync.by_hand.approval_run import ApprovalRun
from sync.by_hand.run import Act, ByHandRun
from sync.changes import Change
from sync.context import Rules
from sync.errors import AccountBusy, CmsUnavailable, InvalidRequest, NotFound
from sync.guard import Limits
from sync.model import Innings
from sync.plan import plan_removals, plan_upserts
from sync.report import Outcome, Run, RunState, Stage
from tests.fakes import START, FakeCms, nothing_fails
from tests.unit.sync.engine import Engine, game, season

CEILING = Limits(removal_max_count=1, shrink_max_share=0.9)


@dataclass
class PlansOfFake:
    cms: FakeCms

    def planned_of_run(self, run_id: str) -> Mapping[Stage, Sequence[Change]]:
        return self.cms.plan_stages[run_id]

    def applied_of_run(self, run_id: str) -> Iterable[Change]:
        return [change for owner, _, change in self.cms.history if owner == run_id]


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
        by_hand=ByHandRun(cms=engine.cms, runs=engine.runs, leases=engine.leases, clock=engine.clock),
        plans=PlansOfFake(engine.cms),
        decisions=engine.decisions,
        sizes=engine.sizes,
        confirmations=engine.rules.removal_confirmations,
    )


def approve(engine: Engine, held: Run) -> Act:
    return approvals(engine).approve(held.id, plan_hash=held.plan_hash or "", decided_by="anna")


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
    run = approve(engine, held).run

    assert run is not None
    assert set(engine.cms.removed) == {"game-4", "game-5"}
    games = {game_id: game for game_id, game in before["games"].items() if game_id not in engine.cms.removed}
    assert engine.cms.stored() == {**before, "games": games}
    assert (run.outcome, run.preset, run.account_id) == (Outcome.SUCCEEDED, "approval", held.account_id)
    assert run.stages[Stage.FIXTURE_CLEANUP].removed == 2
    assert engine.runs.find(run.id) == run
    assert run.of_run_id == held.id
    assert held.id in str(run.message)


def test_what_changed_since_is_left_and_named(engine: Engine) -> None:
    held = engine.sync_association()
    engine.cms.games["game-4"] = replace(engine.cms.games["game-4"], round="Final")
    act = approve(engine, held)

    assert act.run is not None
    assert set(engine.cms.removed) == {"game-5"}
    assert [(kept.record_id, kept.reason) for kept in act.choice.kept] == [("game-4", "it was edited since")]
    assert act.run.outcome is Outcome.PARTIAL
    assert "1 record stays as it is" in str(act.run.message)


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
    proposal = approvals(engine).plan(held.id)

    assert ("game-4", "the provider has listed it since") in [
        (kept.record_id, kept.reason) for kept in proposal.choice.kept
    ]


def test_looking_at_the_plan_writes_nothing(engine: Engine) -> None:
    held = engine.sync_association()
    before = engine.cms.stored()
    proposal = approvals(engine).plan(held.id)

    assert len(proposal.choice.all_changes) == 2
    assert engine.cms.stored() == before
    assert engine.cms.removed == {}


def test_another_hash_is_refused(engine: Engine) -> None:
    held = engine.sync_association()

    with pytest.raises(InvalidRequest, match=r"has plan \w{16}, not 0123"):
        approvals(engine).approve(held.id, plan_hash="0123", decided_by="anna")
    assert engine.cms.removed == {}


def test_a_plan_that_is_not_the_one_of_the_verdict_is_refused(engine: Engine) -> None:
    held = engine.sync_association()
    earlier = plan_removals([engine.cms.games["game-3"]], cause="earlier attempt").changes
    engine.cms.record_plan(held.id, Stage.FIXTURE_CLEANUP, earlier)

    with pytest.raises(InvalidRequest, match="sync again"):
        approve(engine, held)
    assert engine.cms.removed == {}


def test_a_second_approval_writes_nothing_and_names_the_first(engine: Engine) -> None:
    held = engine.sync_association()
    first = approve(engine, held)
    written = len(engine.cms.history)
    second = approvals(engine).approve(held.id, plan_hash=held.plan_hash or "", decided_by="bert")

    assert second.is_repeat
    assert second.run == first.run
    assert len(engine.cms.history) == written
    decision = approvals(engine).plan(held.id).decision
    assert decision is not None
    assert decision.decided_by == "anna"


def test_nothing_left_to_approve_is_said(engine: Engine) -> None:
    held = engine.sync_association()
    for game_id in ("game-4", "game-5"):
        engine.cms.removed[game_id] = engine.cms.games.pop(game_id)

    with pytest.raises(InvalidRequest, match="nothing is left"):
        approve(engine, held)
    assert approvals(engine).plan(held.id).decision is None


def test_a_rejected_plan_is_never_written(engine: Engine) -> None:
    held = engine.sync_association()
    decision = approvals(engine).reject(held.id, plan_hash=held.plan_hash or "", decided_by="anna")

    assert decision.verdict is DecisionVerdict.REJECTED
    with pytest.raises(InvalidRequest, match="rejected by anna"):
        approve(engine, held)
    assert engine.cms.removed == {}


def test_a_rejection_after_the_approval_leaves_the_approval(engine: Engine) -> None:
    held = engine.sync_association()
    approve(engine, held)
    decision = approvals(engine).reject(held.id, plan_hash=held.plan_hash or "", decided_by="bert")

    assert (decision.verdict, decision.decided_by) == (DecisionVerdict.APPROVED, "anna")


def test_an_interrupted_approval_goes_on_where_it_stopped(engine: Engine) -> None:
    """The CMS goes away after the first of two portions; approving again writes the rest."""
    held = engine.sync_association()
    first, second = engine.cms.plan_stages[held.id][Stage.FIXTURE_CLEANUP]
    engine.cms.after = goes_away_after(1)
    stages = {Stage.GAMES: [first], Stage.FIXTURE_CLEANUP: [second]}
    engine.cms.plan_stages[held.id] = defaultdict(list, stages)
    with pytest.raises(CmsUnavailable):
        approve(engine, held)
    assert set(engine.cms.removed) == {first.record_id}
    act_id = approvals(engine).plan(held.id).decision.act_id  # type: ignore[union-attr]
    assert engine.runs.find(str(act_id)).state is RunState.DEFERRED

    engine.cms.after = nothing_fails
    act = approvals(engine).approve(held.id, plan_hash=held.plan_hash or "", decided_by="bert")
    assert act.run is not None
    assert (act.run.id, act.run.outcome) == (act_id, Outcome.SUCCEEDED)
    assert set(engine.cms.removed) == {"game-4", "game-5"}
    assert {stage: report.removed for stage, report in act.run.stages.items()} == {
        Stage.GAMES: 1,
        Stage.FIXTURE_CLEANUP: 1,
    }


def goes_away_after(applies: int) -> Callable[[str], None]:
    left = [applies]

    def after(operation: str) -> None:
        left[0] -= operation == "apply"
        if left[0] <= 0:
            raise CmsUnavailable("the CMS did not answer")

    return after


def test_only_an_ended_run_that_held_something_back_can_be_approved(engine: Engine) -> None:
    held = engine.sync_association()
    engine.runs.request(replace(held, id="working", state=RunState.RUNNING))
    engine.runs.request(replace(held, id="plain", plan_hash=None))

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


def test_two_people_at_once_exclude_each_other(engine: Engine) -> None:
    held = engine.sync_association()
    refused: list[Exception] = []

    def meanwhile(operation: str) -> None:
        if operation == "apply":
            engine.cms.before = nothing_fails
            with pytest.raises(AccountBusy) as busy:
                approvals(engine).approve(held.id, plan_hash=held.plan_hash or "", decided_by="bert")
            refused.append(busy.value)

    engine.cms.before = meanwhile
    assert not approve(engine, held).is_repeat
    assert len(refused) == 1
    assert set(engine.cms.removed) == {"game-4", "game-5"}


def test_a_dry_runs_plan_is_written_as_it_was_shown(engine: Engine) -> None:
    engine.world.games["game-3"] = replace(engine.world.games["game-3"], round="Round 9")
    dry = engine.sync_association(is_dry_run=True)
    proposal = approvals(engine).plan(dry.id)
    act = approve(engine, dry)

    assert act.run is not None
    assert act.run.outcome is Outcome.SUCCEEDED
    assert {change.record_id for change in proposal.choice.all_changes} == {"game-3"}
    assert engine.cms.games["game-3"].round == "Round 9"
    # What the guards held back of the dry run was no part of its plan.
    assert {"game-4", "game-5"} <= engine.cms.games.keys()
    assert approve(engine, dry).is_repeat


def test_a_first_dry_run_is_approved_whole() -> None:
    engine = Engine()
    dry = engine.sync_association(is_dry_run=True)
    approve(engine, dry)

    undisturbed = Engine()
    undisturbed.sync_association()
    assert engine.cms.stored() == undisturbed.cms.stored()


def test_a_dry_runs_plan_is_refused_once_the_world_has_changed(engine: Engine) -> None:
    engine.world.games["game-3"] = replace(engine.world.games["game-3"], round="Round 9")
    engine.world.games["game-1"] = replace(engine.world.games["game-1"], round="Round 9")
    dry = engine.sync_association(is_dry_run=True)
    engine.cms.games["game-3"] = replace(engine.cms.games["game-3"], status="FINAL")
    before = engine.cms.stored()

    assert approvals(engine).plan(dry.id).is_outdated
    with pytest.raises(InvalidRequest, match=r"1 record has changed .*game-3: it was edited since"):
        approve(engine, dry)
    assert engine.cms.stored() == before
    assert approvals(engine).plan(dry.id).decision is None


def test_a_removal_that_a_dry_run_planned_counts_its_own_day(engine: Engine) -> None:
    engine.rules = replace(engine.rules, limits=Limits(removal_max_share=1, shrink_max_share=1))
    dry = engine.sync_association(is_dry_run=True)
    approve(engine, dry)

    assert set(engine.cms.removed) == {"game-4", "game-5"}


def test_a_dry_run_that_would_write_nothing_cannot_be_approved() -> None:
    engine = Engine()
    engine.sync_association()
    dry = engine.sync_association(is_dry_run=True)

    with pytest.raises(InvalidRequest, match="would write nothing"):
        approvals(engine).plan(dry.id)


def test_hash_is_the_same_for_whole_overs_in_either_type() -> None:
    hashes = {
        hash_of(plan_removals([replace(game(1), innings=(innings,))], cause="gone").changes)
        for innings in (Innings(team_id="team-1", number=1, overs=overs) for overs in (40, 40.0))
    }
    assert len(hashes) == 1


def test_hash_leaves_out_hints_that_are_never_stored() -> None:
    hashes = {
        hash_of(plan_upserts([season(updated_at=at)], {}).changes)
        for at in (None, START, START + timedelta(days=1))
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
