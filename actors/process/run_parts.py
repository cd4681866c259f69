"""The sync run that a worker carries its messages out with, and what that is built from."""

from __future__ import annotations

from dataclasses import dataclass

from actors.process.foundation import Foundation
from actors.process.runs_in_force import RunsInForce
from actors.sync_grade import requests_for
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.publisher import Publisher
from notifications.live import LiveNotifications
from providers.door import Timing, stoppable_sleep
from providers.outbound import Outbound
from providers.registry import InstalledSources, Plugins
from settings.plugins import Kind, load_kind
from settings.schema import Settings
from stores.redis.answers import RedisAnswers
from stores.redis.breakers import RedisBreakers
from stores.redis.checkpoints import Checkpoints
from stores.redis.progress import Progress
from stores.redis.quotas import RedisLedgers
from stores.redis.run_totals import RunTotals
from stores.redis.seals import RedisSeals
from sync.ahead import MOST_AT_ONCE
from sync.concurrency import InThreads
from sync.context import FanOut
from sync.delivery.deliver import Delivery
from sync.ports import Cms, Runs
from sync.report import Run
from sync.run import SyncRun


@dataclass(slots=True)
class SuccessiveSources:
    """The providers under each version of the settings; the newest one's limits hold for all runs.

    Connections of a former version close with its last run.
    """

    plugins: Plugins
    outbound: Outbound
    _latest: InstalledSources | None = None

    def open(self, settings: Settings) -> InstalledSources:
        sources = InstalledSources(self.plugins, self.outbound.successor(), settings)
        if self._latest is not None:
            sources.succeed(self._latest)
        self._latest = sources
        return sources


def build_run(  # noqa: PLR0913, PLR0917  everything that a run is made of
    foundation: Foundation,
    drain: DrainOnSigterm,
    publisher: Publisher,
    cms: Cms,
    runs: Runs,
    notifications: LiveNotifications,
    sources: InstalledSources,
) -> SyncRun:
    client, namespace = foundation.client, foundation.namespace
    totals = RunTotals(client, namespace)

    def announce(run: Run) -> None:
        notifications.announce(run)
        totals.add(run)  # last, because it counts again when it is repeated

    return SyncRun(
        sources=sources,
        cms=cms,
        leases=foundation.leases,
        runs=runs,
        sizes=foundation.stores.sizes,
        checkpoints=Checkpoints(client, namespace),
        clock=foundation.clock,
        stop=drain,
        progress=Progress(client, namespace),
        map_concurrently=InThreads(foundation.settings.sync.grade_concurrency),
        asked_ahead=MOST_AT_ONCE,
        announce=announce,
        let_next=publisher.let_next,
        fan_out=FanOut(
            gathers=foundation.gathers,
            share_out=lambda tasks: publisher.send_many(requests_for(tasks)),
        ),
        seals=RedisSeals(client, namespace),
        extras=load_kind(Kind.STAGES).working,
    )


def build_delivery(foundation: Foundation, cms: Cms, runs: RunsInForce) -> Delivery:
    return Delivery(cms=cms, outbox=foundation.outbox, leases=foundation.leases, settle=runs.settle_delivered)


def open_outbound(foundation: Foundation, drain: DrainOnSigterm) -> Outbound:
    client, namespace = foundation.client, foundation.namespace
    return Outbound(
        ledgers=RedisLedgers(client, namespace),
        answers=RedisAnswers(client, namespace),
        breakers=RedisBreakers(client, namespace),
        timing=Timing(sleep=stoppable_sleep(drain)),
    )
