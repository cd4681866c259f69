"""Whole runs into Strapi: the first fills it, the second writes nothing, a change writes itself."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest

from cms.strapi.adapter import StrapiCms
from stores.sql.stores import SqlStores
from sync.approval_run import ApprovalRun
from sync.by_hand_run import ByHandRun
from sync.context import Rules
from sync.guard import Limits
from sync.model import Organisation, OrganisationKind
from sync.report import Mode, Outcome, Run
from sync.run import SyncRequest, SyncRun
from sync.undo_run import UndoRun
from tests.fakes import (
    FakeCheckpoints,
    FakeClock,
    FakeLeases,
    FakeProgress,
    FakeSources,
    FakeStopSignal,
    World,
    map_in_order,
)
from tests.strapi.server import StrapiServer
from tests.unit.sync.engine import ASSOCIATION, TODAY, game_day, played, small_world


@dataclass
class Syncs:
    """Direct syncs of the small world's association, each a day after the other."""

    cms: StrapiCms
    stores: SqlStores
    world: World
    clock: FakeClock
    rules: Rules = field(default_factory=Rules)
    count: int = 0

    @property
    def by_hand(self) -> ByHandRun:
        leases = FakeLeases(_token=1000)
        return ByHandRun(cms=self.cms, runs=self.stores.runs, leases=leases, clock=self.clock)

    @property
    def approvals(self) -> ApprovalRun:
        return ApprovalRun(
            by_hand=self.by_hand,
            plans=self.stores.changes,
            decisions=self.stores.decisions,
            sizes=self.stores.sizes,
            confirmations=self.rules.removal_confirmations,
        )

    def perform(self) -> Run:
        self.count += 1
        self.clock.pass_days(1)
        sync_run = SyncRun(
            sources=FakeSources(self.world),
            cms=self.cms,
            leases=FakeLeases(_token=self.count * 10),
            runs=self.stores.runs,
            sizes=self.stores.sizes,
            checkpoints=FakeCheckpoints(),
            clock=self.clock,
            stop=FakeStopSignal(),
            progress=FakeProgress(),
            map_concurrently=map_in_order,
            announce=lambda _: None,
            let_next=lambda _: None,
            rules=self.rules,
        )
        return sync_run.perform(
            SyncRequest(
                run_id=f"run-{self.count}",
                mode=Mode.ASSOCIATION_DIRECT,
                requested_at=self.clock.now(),
                organisation_id=ASSOCIATION,
            )
        )


@pytest.fixture
def syncs(cms: StrapiCms, strapi: StrapiServer, stores: SqlStores) -> Syncs:
    strapi.add("associations", Name="District", href=f"/org/district/{ASSOCIATION[:8]}", Sport="Cricket")
    stores.organisations.save(
        Organisation(id=ASSOCIATION, kind=OrganisationKind.ASSOCIATION, provider="playhq")
    )
    return Syncs(cms, stores, small_world(), FakeClock())


def written(run: Run) -> tuple[int, int, int]:
    """Created, updated and removed by all stages."""
    stages = run.stages.values()
    return (
        sum(stage.created for stage in stages),
        sum(stage.updated for stage in stages),
        sum(stage.removed for stage in stages),
    )


def test_first_sync_fills_the_cms_and_the_second_writes_nothing(syncs: Syncs, strapi: StrapiServer) -> None:
    first = syncs.perform()
    strapi.requests.clear()
    second = syncs.perform()

    assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert len(strapi.rows("game-meta-datas")) == 6
    assert strapi.writes == []
    assert written(second) == (0, 0, 0)


def test_changes_of_the_provider_write_exactly_themselves(syncs: Syncs, strapi: StrapiServer) -> None:
    syncs.perform()
    strapi.requests.clear()
    games = syncs.world.games
    games["game-3"] = played(games["game-3"])
    games["game-4"] = replace(games["game-4"], days=(game_day(TODAY + timedelta(days=9)),))
    run = syncs.perform()

    assert run.outcome is Outcome.SUCCEEDED
    assert sorted({path.partition("/")[0] for _, path in strapi.writes} - {"competitions", "grades"}) == [
        "game-meta-datas"
    ]
    assert len([path for _, path in strapi.writes if path.startswith("game-")]) == 2


def test_game_that_stays_missing_is_marked_after_three_days(syncs: Syncs, strapi: StrapiServer) -> None:
    syncs.perform()
    del syncs.world.games["game-4"]
    removals = [written(syncs.perform())[2] for _ in range(3)]

    assert removals == [0, 0, 1]
    marked = [row["gameID"] for row in strapi.rows("game-meta-datas") if row["isDeleted"]]
    assert marked == ["game-4"]


def test_held_removals_are_marked_once_a_person_approves_them(syncs: Syncs, strapi: StrapiServer) -> None:
    limits = Limits(removal_max_count=1, shrink_max_share=0.9)
    syncs.rules = Rules(removal_confirmations=1, limits=limits)
    syncs.perform()
    del syncs.world.games["game-4"], syncs.world.games["game-5"]
    held = syncs.perform()
    approvals = syncs.approvals
    assert not any(row["isDeleted"] for row in strapi.rows("game-meta-datas"))

    act = approvals.approve(held.id, plan_hash=held.plan_hash or "", decided_by="anna")
    assert act.run is not None
    assert (act.run.outcome, act.choice.kept) == (Outcome.SUCCEEDED, [])
    marked = {row["gameID"] for row in strapi.rows("game-meta-datas") if row["isDeleted"]}
    assert marked == {"game-4", "game-5"}


def test_undo_reaches_the_cms_and_can_be_undone(syncs: Syncs, strapi: StrapiServer) -> None:
    syncs.perform()
    syncs.world.games["game-3"] = replace(syncs.world.games["game-3"], round="Round 9")
    changed = syncs.perform()
    undo = UndoRun(by_hand=syncs.by_hand, history=syncs.stores.changes)

    def rounds() -> set[object]:
        return {row["round"] for row in strapi.rows("game-meta-datas") if row["gameID"] == "game-3"}

    assert rounds() == {"Round 9"}
    first = undo.undo(changed.id)
    assert first.run is not None
    assert (first.run.outcome, rounds()) == (Outcome.SUCCEEDED, {"Round 1"})
    again = undo.undo(first.run.id)
    assert again.run is not None
    assert (again.run.outcome, rounds()) == (Outcome.SUCCEEDED, {"Round 9"})
