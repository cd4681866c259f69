"""Direct syncs of a small world into a CMS behind its outbox, and what follows them."""

from __future__ import annotations

from dataclasses import dataclass, field

from stores.sql.outbox import SqlOutbox
from stores.sql.stores import SqlStores
from sync.by_hand.approval_run import ApprovalRun
from sync.by_hand.run import ByHandRun
from sync.by_hand.undo_run import UndoRun
from sync.context import Rules
from sync.delivery.deliver import Delivery
from sync.delivery.outbox import OutboxCms
from sync.model import Organisation, OrganisationKind
from sync.ports import Cms
from sync.report import Mode, Run
from sync.request import SyncRequest
from sync.run import SyncRun
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
from tests.unit.sync.engine import ASSOCIATION, HAWKS, small_world


@dataclass
class Bench:
    """Syncs of the association, or of its club, each a day after the other; and deliveries."""

    cms: Cms
    stores: SqlStores
    outbox: SqlOutbox
    clock: FakeClock
    world: World = field(default_factory=small_world)
    rules: Rules = field(default_factory=Rules)
    announced: list[Run] = field(default_factory=list)
    count: int = 0

    @property
    def behind(self) -> OutboxCms:
        return OutboxCms(self.cms, self.stores.mirror, self.outbox, self.clock)

    @property
    def undo(self) -> UndoRun:
        return UndoRun(by_hand=self._by_hand, history=self.stores.changes)

    @property
    def approvals(self) -> ApprovalRun:
        return ApprovalRun(
            by_hand=self._by_hand,
            plans=self.stores.changes,
            decisions=self.stores.decisions,
            sizes=self.stores.sizes,
            confirmations=self.rules.removal_confirmations,
        )

    def sync(self) -> Run:
        return self._sync(Mode.ASSOCIATION_DIRECT, ASSOCIATION)

    def sync_club(self) -> Run:
        return self._sync(Mode.CLUB_DIRECT, HAWKS)

    def deliver(self) -> int:
        self.clock.pass_days(1)
        return Delivery(
            cms=self.cms,
            outbox=self.outbox,
            leases=self._leases(),
            settle=self._sync_run().closing.settle_delivered,
        ).deliver(owner="worker-1")

    @property
    def _by_hand(self) -> ByHandRun:
        return ByHandRun(cms=self.behind, runs=self.stores.runs, leases=self._leases(), clock=self.clock)

    def _sync(self, mode: Mode, organisation_id: str) -> Run:
        self.clock.pass_days(1)
        sync_run = self._sync_run()
        return sync_run.perform(
            SyncRequest(
                run_id=f"run-{self.count}",
                mode=mode,
                requested_at=self.clock.now(),
                organisation_id=organisation_id,
            )
        )

    def _sync_run(self) -> SyncRun:
        return SyncRun(
            sources=FakeSources(self.world),
            cms=self.behind,
            leases=self._leases(),
            runs=self.stores.runs,
            sizes=self.stores.sizes,
            checkpoints=FakeCheckpoints(),
            clock=self.clock,
            stop=FakeStopSignal(),
            progress=FakeProgress(),
            map_concurrently=map_in_order,
            announce=self.announced.append,
            let_next=lambda _: None,
            rules=self.rules,
        )

    def _leases(self) -> FakeLeases:
        """Each work's fence is newer than that of the work before."""
        self.count += 1
        return FakeLeases(_token=self.count * 10)


def open_bench(cms: Cms, stores: SqlStores, strapi: StrapiServer) -> Bench:
    """A bench whose association is known to the CMS and to the stores, with its club."""
    strapi.add("associations", Name="District", href=f"/org/district/{ASSOCIATION[:8]}", Sport="Cricket")
    association = Organisation(id=ASSOCIATION, kind=OrganisationKind.ASSOCIATION, provider="playhq")
    club = Organisation(
        id=HAWKS, kind=OrganisationKind.CLUB, provider="playhq", association_ids=(ASSOCIATION,)
    )
    for organisation in (association, club):
        stores.organisations.save(organisation)
    clock = FakeClock()
    return Bench(cms, stores, SqlOutbox(stores.engine, clock, max_records=1000), clock)
