"""A held plan goes through SQL and is approved from there."""

from __future__ import annotations

from datetime import date

import pytest

from cms.embedded.adapter import EmbeddedCms
from stores.sql.stores import SqlStores
from sync.by_hand.approval import hash_of
from sync.by_hand.approval_run import ApprovalRun
from sync.by_hand.run import ByHandRun
from sync.model import Record
from sync.plan import plan_removals
from sync.ports import Fence
from sync.report import Mode, Outcome, Run, RunState, Stage, StageReport
from tests.fakes import FakeLeases
from tests.integration.stores.conftest import NOW, SteppingClock
from tests.records import created, game, grade, season, team, updated

FENCE = Fence("playhq:club-1", 1)
HELD = plan_removals([game("game-1"), game("game-2")], cause="missing from the fixture on 2 days").changes


@pytest.fixture
def approvals(stores: SqlStores) -> ApprovalRun:
    """Run `held` holds the removal of two games back, which were missing on two days."""
    cms = EmbeddedCms(stores)
    cleanup = StageReport(outcome=Outcome.PARTIAL, held=len(HELD), plan_hash=hash_of(HELD))
    run = Run(
        id="held",
        mode=Mode.CLUB,
        preset="full",
        state=RunState.PARTIAL,
        requested_at=NOW,
        account_id=42,
        organisation_id="club-1",
        provider="playhq",
        stages={Stage.FIXTURE_CLEANUP: cleanup},
        plan_hash=hash_of(HELD),
    )
    stores.runs.save(run)
    family: list[Record] = [season(), grade(), team("home"), team("away"), game("game-1"), game("game-2")]
    cms.apply("held", Stage.GAMES, [created(record) for record in family], fence=FENCE)
    for day in (date(2031, 10, 19), date(2031, 10, 20)):
        cms.record_absences("grade-1", missing=["game-1", "game-2"], present=[], day=day)
    cms.record_plan("held", Stage.FIXTURE_CLEANUP, HELD)
    by_hand = ByHandRun(cms=cms, runs=stores.runs, leases=FakeLeases(), clock=SteppingClock())
    return ApprovalRun(
        by_hand=by_hand,
        plans=stores.changes,
        decisions=stores.decisions,
        sizes=stores.sizes,
        confirmations=2,
    )


def test_held_plan_is_written_as_it_was_stored(stores: SqlStores, approvals: ApprovalRun) -> None:
    proposal = approvals.plan("held")
    run = approvals.approve("held", plan_hash=proposal.plan_hash, decided_by="anna").run

    assert run is not None
    assert tuple(proposal.choice.all_changes) == HELD
    assert stores.runs.find("held").plan_hash == proposal.plan_hash
    assert set(stores.mirror.read_removed_games(["game-1", "game-2"])) == {"game-1", "game-2"}
    assert run.stages[Stage.FIXTURE_CLEANUP].removed == 2
    assert stores.runs.find_act("held", "approval") == run
    assert tuple(stores.changes.applied_of_run(run.id)) == HELD
    assert tuple(stores.changes.planned_of_run("held")[Stage.FIXTURE_CLEANUP]) == HELD


def test_the_first_decision_stays(stores: SqlStores, approvals: ApprovalRun) -> None:
    first = approvals.reject("held", plan_hash=hash_of(HELD), decided_by="anna")
    assert stores.decisions.find("held") == first
    assert approvals.reject("held", plan_hash=hash_of(HELD), decided_by="bert") == first


def test_changed_and_reappeared_games_stay(stores: SqlStores, approvals: ApprovalRun) -> None:
    edited = game("game-1", round="Final")
    stores.mirror.apply("later", Stage.GAMES, [updated(game("game-1"), edited)], fence=FENCE)
    stores.absences.record("grade-1", missing=[], present=["game-2"], day=date(2031, 10, 21))

    choice = approvals.plan("held").choice
    assert choice.all_changes == []
    assert {kept.reason for kept in choice.kept} == {
        "it was edited since",
        "the provider has listed it since",
    }


def test_what_was_planned_may_be_written_by_the_same_run_later(
    stores: SqlStores, approvals: ApprovalRun
) -> None:
    approvals.by_hand.cms.apply("held", Stage.FIXTURE_CLEANUP, HELD, fence=FENCE)

    removed = [change for change in stores.changes.applied_of_run("held") if change.after is None]
    assert tuple(removed) == HELD
