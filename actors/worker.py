"""The worker's entry point: settings -> clients -> broker -> actors.

`dramatiq-gevent actors.worker:start` calls it in each worker process, after the fork and
after gevent has patched the standard library.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dramatiq
import redis

import actors.process.unneeded_imports  # noqa: F401  before what it spares
from actors.catalogue import SYNC_ACTORS, declare_all
from actors.process.attempts import Attempts
from actors.process.outbox_delivery import outbox_delivery
from actors.process.periodic import PeriodicTask, PeriodicTasks
from actors.process.registration import Registration
from actors.process.runs_in_force import RunsInForce
from actors.process.settings_reload import SettingsReload, look_on_sighup
from actors.process.start_up import StartUp
from actors.sync_grade import requests_for
from brokers.chain import WorkerParts, open_worker
from brokers.clients import open_client
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.middleware.error_aware_retries import ErrorAwareRetries, RetryRules
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from brokers.tracing import trace
from cms.registry import EMBEDDED, CmsContext, behind_outbox, listener_of, open_cms, told_to
from notifications.cms_callback import CmsCallback
from notifications.live import LiveNotifications, Ports
from notifications.watch import open_watch
from providers.door import Timing, stoppable_sleep
from providers.hosts import provider_hosts
from providers.outbound import Outbound
from providers.registry import InstalledSources, load_plugins
from settings import logs
from settings.live import ProcessRole
from settings.loader import load
from settings.plugins import Kind, load_kind, tell_broken
from settings.reload import Reloader
from settings.schema import Settings
from stores.redis.answers import RedisAnswers
from stores.redis.batches import Batches
from stores.redis.breakers import RedisBreakers
from stores.redis.checkpoints import Checkpoints
from stores.redis.gates import Gates
from stores.redis.gathers import RedisGathers
from stores.redis.leadership import Leadership
from stores.redis.leases import RedisLeases
from stores.redis.looks import Looks
from stores.redis.progress import Progress
from stores.redis.quotas import RedisLedgers
from stores.redis.registry import BEAT_EVERY_S, Heartbeat, Registry, Service, describe_process
from stores.redis.run_totals import RunTotals
from stores.redis.schedule import Schedule
from stores.redis.seals import RedisSeals
from stores.redis.turns import Turns
from stores.redis.versions import RedisVersions, open_reloader, when_redis_answers
from stores.sql.engine import open_engine
from stores.sql.migrate import check_schema
from stores.sql.outbox import SqlOutbox
from stores.sql.stores import SqlStores, open_stores
from sync.ahead import MOST_AT_ONCE
from sync.clock import SystemClock
from sync.concurrency import InThreads
from sync.context import FanOut
from sync.delivery.deliver import Delivery
from sync.errors import ConfigurationError, NotFound
from sync.ports import Cms, Runs
from sync.report import Run
from sync.run import SyncRun

log = logging.getLogger(__name__)

# Of the leader's intervals, so that mostly the leader is the first of its interval.
WATCHES_EVERY = 1.5
# Checks are the web process's to make; importing them brings its framework along, 11 MB of it.
KINDS_USED = [kind for kind in Kind if kind is not Kind.CHECKS]


def start() -> None:
    """Build a worker from the settings and declare its actors on the global broker."""
    ground = _lay_ground()
    heartbeat = _heartbeat(ground)
    heartbeat.start()
    tell_broken(KINDS_USED)
    ground.start_up.wait_for("sql", lambda: check_schema(ground.stores.engine))
    drain, runs = DrainOnSigterm(), RunsInForce()
    retries = ErrorAwareRetries(_retry_rules(ground.settings), on_dead=runs.close)
    broker = _open_broker(
        ground,
        WorkerParts(
            retries=retries, drain=drain, on_reused=runs.answer, fresh_ms=lambda name: _fresh_ms(ground, name)
        ),
    )
    publisher = Publisher(
        broker,
        runs=ground.stores.runs,
        presets=lambda: ground.reloader.in_force.loaded.settings.presets,
        clock=ground.clock,
    )
    context = CmsContext(settings=ground.settings.cms, stores=ground.stores, clock=ground.clock)
    cms = open_cms(context)
    ground.start_up.wait_for("cms", lambda: _ask_cms(cms))
    notifications = _open_notifications(ground, publisher, cms)
    attempts = Attempts(
        RedisVersions(ground.client, ground.namespace).count_attempt,
        ground.process.id,
        lambda: ground.reloader.in_force.number,
    )
    plugins, outbound = load_plugins(), _open_outbound(ground, drain)
    sources = InstalledSources(plugins, outbound, ground.settings)

    def open_sources(settings: Settings) -> InstalledSources:
        nonlocal sources
        former, sources = sources, InstalledSources(plugins, outbound, settings)
        sources.succeed(former)
        return sources

    runs.begin(
        _build_run(
            ground,
            drain,
            publisher,
            behind_outbox(cms, context, ground.outbox),
            told_to(cms, ground.stores.runs),
            notifications,
            sources,
        ),
        open_sources,
        look_again=ground.reloader.look,
        attempts=attempts,
    )
    _follow_settings(ground, broker, runs, retries, notifications)
    broker.add_middleware(Registration(heartbeat, ground.start_up))
    broker.add_middleware(SettingsReload(ground.reloader))
    rounds = [_watching(ground, broker, publisher, notifications)]
    if context.settings.kind != EMBEDDED:
        rounds.append(outbox_delivery(_build_delivery(ground, cms, runs), ground.process.id))
    broker.add_middleware(PeriodicTasks(rounds))

    def deliver(event: str, channel: str, run_id: str | None) -> None:
        with attempts.counted():
            notifications.deliver(event, channel, run_id)

    declare_all(
        broker,
        perform_sync=runs.perform,
        perform_grade=runs.perform_grade,
        deliver=deliver,
        note_round_trip=_note_round_trip,
    )
    ground.served.update(broker)
    dramatiq.set_broker(broker)


@dataclass(slots=True)
class Served:
    """The queues of a worker, and those of them that nothing here could carry out."""

    queues: tuple[str, ...] = ()
    queues_without_actor: tuple[str, ...] = ()

    def update(self, broker: dramatiq.Broker) -> None:
        carried_out = {actor.queue_name for actor in broker.actors.values()}
        self.queues = tuple(sorted(broker.queues))
        self.queues_without_actor = tuple(sorted(set(broker.queues) - carried_out))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What everything else in a worker stands on."""

    settings: Settings
    redis_url: str
    client: redis.Redis
    stores: SqlStores
    clock: SystemClock
    process: Service
    reloader: Reloader
    start_up: StartUp
    served: Served
    leases: RedisLeases
    gathers: RedisGathers

    @property
    def outbox(self) -> SqlOutbox:
        """What waits for a CMS that is away."""
        max_records = self.settings.cms.outbox_max_records
        return SqlOutbox(self.stores.engine, self.clock, max_records=max_records)

    @property
    def namespace(self) -> str:
        return self.settings.redis.namespace


def _lay_ground() -> Ground:
    settings = load().settings
    logs.set_up(settings)
    if settings.redis.url is None:
        raise ConfigurationError("a worker needs REDIS_URL; clubsync worker and clubsync up give it one")
    redis_url = settings.redis.url.get_secret_value()
    clock = SystemClock()
    client = open_client(redis_url, max_connections=settings.redis.max_connections)
    process = describe_process("worker", clock)
    reloader = when_redis_answers(
        lambda: open_reloader(client, settings.redis.namespace, ProcessRole.WORKER, process.id, clock.now),
        threading.Event(),
    )
    assert reloader is not None  # noqa: S101  nothing stops the waiting but Redis
    look_on_sighup(reloader)
    settings = reloader.in_force.loaded.settings
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    return Ground(
        settings=settings,
        redis_url=redis_url,
        client=client,
        stores=open_stores(engine, clock),
        clock=clock,
        process=process,
        reloader=reloader,
        start_up=StartUp(),
        served=Served(),
        leases=RedisLeases(client, settings.redis.namespace, lease_s=settings.sync.lease_s),
        gathers=RedisGathers(client, settings.redis.namespace, claim_s=settings.sync.lease_s),
    )


def _retry_rules(settings: Settings) -> RetryRules:
    sync = settings.sync
    return RetryRules(max_retries=sync.attempts - 1, max_deferral_s=sync.max_deferral_s)


def _fresh_ms(ground: Ground, actor_name: str) -> int:
    fresh_s = ground.reloader.in_force.loaded.settings.sync.result_fresh_s
    return round(fresh_s * 1000) if actor_name in SYNC_ACTORS else 0


def _open_broker(ground: Ground, parts: WorkerParts) -> PriorityRedisBroker:
    broker = open_worker(
        ground.redis_url,
        parts,
        namespace=ground.namespace,
        max_connections=ground.settings.redis.max_connections,
    )
    trace(broker, "worker", is_on=ground.settings.tracing.is_on)
    return broker


def _open_notifications(ground: Ground, publisher: Publisher, cms: Cms) -> LiveNotifications:
    tell_cms = listener_of(cms)
    own = {"cms": CmsCallback(tell_cms, ground.stores.runs)} if tell_cms else {}
    return LiveNotifications(
        ground.settings,
        Ports(
            stores=ground.stores,
            turns=Turns(ground.client, ground.namespace),
            publish=publisher.notify,
            size_of_batch=Batches(ground.client, ground.namespace).size_of,
            clock=ground.clock,
            own_channels=own,
        ),
    )


def _watching(
    ground: Ground, broker: PriorityRedisBroker, publisher: Publisher, notifications: LiveNotifications
) -> PeriodicTask:
    """Watches in the scheduler's place while none leads."""

    def settings() -> Settings:
        return ground.reloader.in_force.loaded.settings

    watch = open_watch(
        settings=settings,
        stores=ground.stores,
        operations=Operations(broker),
        batches=Batches(ground.client, ground.namespace),
        claim=Looks(ground.client, ground.namespace).claim,
        breaker_open_s=Gates(ground.client, ground.namespace).breaker_open_s,
        find_leader=Leadership(ground.client, ground.namespace).find,
        troubled_entries=Schedule(ground.client, ground.namespace).troubled,
        hosts_of=lambda now: provider_hosts(now.providers),
        canary_endings=RedisVersions(ground.client, ground.namespace).endings,
        tell=notifications,
        publish=publisher.notify,
        clock=ground.clock,
    )
    return PeriodicTask("watch", watch.turn, lambda: WATCHES_EVERY * settings().alerts.every_s)


def _build_run(  # noqa: PLR0913, PLR0917  everything that a run is made of
    ground: Ground,
    drain: DrainOnSigterm,
    publisher: Publisher,
    cms: Cms,
    runs: Runs,
    notifications: LiveNotifications,
    sources: InstalledSources,
) -> SyncRun:
    client, namespace = ground.client, ground.namespace
    totals = RunTotals(client, namespace)

    def announce(run: Run) -> None:
        notifications.announce(run)
        totals.add(run)  # last, because it counts again when it is repeated

    return SyncRun(
        sources=sources,
        cms=cms,
        leases=ground.leases,
        runs=runs,
        sizes=ground.stores.sizes,
        checkpoints=Checkpoints(client, namespace),
        clock=ground.clock,
        stop=drain,
        progress=Progress(client, namespace),
        map_concurrently=InThreads(ground.settings.sync.grade_concurrency),
        asked_ahead=MOST_AT_ONCE,
        announce=announce,
        let_next=publisher.let_next,
        fan_out=FanOut(
            gathers=ground.gathers,
            share_out=lambda tasks: publisher.send_many(requests_for(tasks)),
        ),
        seals=RedisSeals(client, namespace),
        extras=load_kind(Kind.STAGES).working,
    )


def _build_delivery(ground: Ground, cms: Cms, runs: RunsInForce) -> Delivery:
    return Delivery(cms=cms, outbox=ground.outbox, leases=ground.leases, settle=runs.settle_delivered)


def _open_outbound(ground: Ground, drain: DrainOnSigterm) -> Outbound:
    client, namespace = ground.client, ground.namespace
    return Outbound(
        ledgers=RedisLedgers(client, namespace),
        answers=RedisAnswers(client, namespace),
        breakers=RedisBreakers(client, namespace),
        timing=Timing(sleep=stoppable_sleep(drain)),
    )


def _follow_settings(
    ground: Ground,
    broker: PriorityRedisBroker,
    runs: RunsInForce,
    retries: ErrorAwareRetries,
    notifications: LiveNotifications,
) -> None:
    def change_retries(changed: Settings) -> None:
        retries.rules = _retry_rules(changed)

    def change_leases(changed: Settings) -> None:
        ground.leases.lease_s = ground.gathers.claim_s = changed.sync.lease_s

    def resize(changed: Settings) -> None:
        broker.resize(slots=changed.worker.greenlets, reserved=changed.worker.reserved_for_urgent)

    resize(ground.settings)  # dramatiq's command line knows nothing of live overrides
    reloader = ground.reloader
    reloader.follow(runs.take_over)
    reloader.subscribe("worker.greenlets", "worker.reserved_for_urgent", apply=resize)
    reloader.subscribe("sync", apply=change_retries)
    reloader.subscribe("sync.lease_s", apply=change_leases)
    reloader.subscribe("logging", apply=logs.set_up)
    reloader.subscribe("notifications", "alerts", apply=notifications.apply)


def _heartbeat(ground: Ground) -> Heartbeat:
    return Heartbeat(
        Registry(ground.client, ground.namespace, ground.clock),
        lambda: replace(
            ground.process,
            config_version=ground.reloader.in_force.number,
            state=ground.start_up.state,
            queues=ground.served.queues,
            queues_without_actor=ground.served.queues_without_actor,
        ),
        every_s=BEAT_EVERY_S,
    )


def _ask_cms(cms: Cms) -> None:
    with contextlib.suppress(NotFound):
        cms.find_account(0)


def _note_round_trip(requested_at: datetime | None) -> None:
    waited_s = (datetime.now(UTC) - requested_at).total_seconds() if requested_at else None
    log.info("health_round_trip", extra={"waited_s": waited_s})
