"""The web process: settings -> engine, Redis, broker, publisher -> application -> port."""

from __future__ import annotations

import contextlib
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from importlib import metadata

from brokers import embedded
from brokers.chain import open_sender
from brokers.clients import open_client
from brokers.dead_index import DeadIndex
from brokers.dead_letters import DeadLetters
from brokers.latency import read_latency
from brokers.mass_retry import MassRetries
from brokers.metrics import read_metrics
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.removal import Removal
from brokers.tracing import trace
from brokers.whereabouts import find_message
from cms.lookups import finder_of
from cms.registry import CmsContext, open_cms
from providers.hosts import provider_hosts
from settings import logs
from settings.live import ProcessRole
from settings.loader import Loaded, load
from settings.plugins import Kind, tell_broken
from settings.reload import Reloader
from settings.schema import Settings
from stores.redis.batches import Batches
from stores.redis.gates import Gates
from stores.redis.idempotency import Answers
from stores.redis.leases import RedisLeases
from stores.redis.progress import Progress
from stores.redis.registry import BEAT_EVERY_S, Heartbeat, Registry, describe_process
from stores.redis.request_limits import RequestLimits
from stores.redis.run_totals import RunTotals
from stores.redis.schedule import Schedule
from stores.redis.trends import Trends
from stores.redis.versions import RedisVersions, open_history, open_reloader
from stores.sql.engine import open_engine
from stores.sql.gathered import Gathered
from stores.sql.migrate import upgrade
from stores.sql.outbox import SqlOutbox
from stores.sql.stores import open_stores
from stores.sql.tokens import Tokens
from sync.clock import SystemClock
from sync.errors import ConfigurationError, NotFound, SyncError
from web import checks
from web.api.mass_retries import note_end
from web.app import create_app
from web.driving import Driving
from web.following import Following
from web.health import Check
from web.recording import Recorder
from web.server import bind, serve
from web.services import Services

# The event loop and the threads beside it take turns in tenths of what Python gives them: a request
# waits for several turns of a thread that asks SQL and Redis.
THREAD_TURN_S = 0.0005
EXIT_FAILED = 1
EXIT_WRONG_USE = 2
PROVIDERS = "clubsync.providers"


def main() -> int:
    """Serve until SIGTERM; 0 after an orderly end, 1 or 2 with one clear sentence."""
    try:
        loaded = load()
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 before there is a log
        return EXIT_WRONG_USE
    logs.set_up(loaded.settings)
    tell_broken(Kind)
    sys.setswitchinterval(THREAD_TURN_S)
    try:
        # First of all, so that a busy port is said before anything else is started.
        listener = bind(loaded.settings.web.host, loaded.settings.web.port)
        with listener, _redis_url(loaded.settings) as redis_url:
            _serve(loaded, redis_url, listener)
    except (ConfigurationError, SyncError) as error:
        print(error, file=sys.stderr)  # noqa: T201 for the person who started it
        return EXIT_FAILED
    return 0


@contextlib.contextmanager
def _redis_url(settings: Settings) -> Iterator[str]:
    """The configured Redis, or the embedded one, which ends after this process."""
    if settings.redis.url is not None:
        yield settings.redis.url.get_secret_value()
        return
    server = embedded.start(settings.home)
    try:
        yield server.url
    finally:
        server.stop()


def _serve(loaded: Loaded, redis_url: str, listener: socket.socket) -> None:
    settings, clock = loaded.settings, SystemClock()
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    if settings.database.url is None:
        upgrade(engine)
    stores = open_stores(engine, clock)
    client = open_client(redis_url, max_connections=settings.redis.max_connections)
    namespace = settings.redis.namespace
    cms = open_cms(CmsContext(settings=settings.cms, stores=stores, clock=clock))
    outbox = SqlOutbox(engine, clock, max_records=settings.cms.outbox_max_records)
    gathered = Gathered(engine, clock)
    broker = open_sender(redis_url, namespace=namespace, audit_log=gathered.audit)
    trace(broker, "web", is_on=settings.tracing.is_on)
    registry = Registry(client, namespace, clock)

    def ask_cms() -> None:
        with contextlib.suppress(NotFound):
            cms.find_account(0)

    def open_followed() -> Reloader:
        reloader = open_reloader(client, namespace, ProcessRole.WEB, this_process.id, clock.now)
        reloader.subscribe("logging", apply=logs.set_up)
        return reloader

    this_process = describe_process("web", clock)
    following = Following(loaded, open_followed)
    signal.signal(signal.SIGHUP, lambda _number, _frame: following.ask())
    versions = RedisVersions(client, namespace)
    operations, gates = Operations(broker), Gates(client, namespace)
    letters = DeadLetters(broker)
    dead = DeadIndex(letters)
    hosts = provider_hosts(settings.providers)
    services = Services(
        loaded=following.loaded,
        config_number=following.number,
        versions=versions,
        history=open_history(versions, clock.now),
        providers=sorted(point.name for point in metadata.entry_points(group=PROVIDERS)),
        tokens=Tokens(engine),
        cms=cms,
        leases=RedisLeases(client, namespace, lease_s=settings.sync.lease_s),
        find_account=cms.find_account,
        find_kinds=finder_of(cms),
        noted_together=gathered.gathering,
        stores=stores,
        progress=Progress(client, namespace),
        publisher=Publisher(
            broker, runs=gathered.runs, presets=lambda: following.loaded().settings.presets, clock=clock
        ),
        operations=operations,
        letters=letters,
        dead=dead,
        mass_retries=MassRetries(
            broker=broker, letters=letters, index=dead, on_end=partial(note_end, gathered.audit)
        ),
        removal=Removal(broker, runs=stores.runs, clock=clock),
        find_message=partial(find_message, broker),
        gates=gates,
        provider_hosts=hosts,
        answers=Answers(client, namespace),
        request_limits=RequestLimits(client, namespace),
        clock=clock,
        registry=registry,
        trends=Trends(client, namespace),
        batches=Batches(client, namespace),
        schedule=Schedule(client, namespace),
        read_latency=partial(read_latency, client, namespace=namespace),
        read_metrics=partial(read_metrics, client, namespace=namespace),
        read_run_totals=RunTotals(client, namespace).read,
        checks=(
            Check(name="redis", ask=partial(checks.check_redis, client), is_required=True),
            Check(name="sql", ask=checks.SqlCheck(engine), is_required=True),
            Check(name="cms", ask=partial(checks.check_cms, settings.cms.kind, ask_cms), is_required=True),
            Check(name="outbox", ask=partial(checks.check_outbox, outbox, stores.refusals)),
            Check(
                name="workers",
                ask=partial(checks.check_role, registry, "worker", consequence="nothing is carried out"),
                through="redis",  # a full one refuses heartbeats
            ),
            Check(
                name="scheduler",
                ask=partial(checks.check_role, registry, "scheduler", consequence="no batch is sent"),
                through="redis",
            ),
            Check(name="queues", ask=partial(checks.check_queues, operations)),
            Check(name="served", ask=partial(checks.check_served, registry, operations)),
            Check(name="config", ask=partial(checks.check_config, versions, registry, clock)),
            Check(name="syncs", ask=partial(checks.check_syncs, stores.outcomes, clock)),
            *(
                Check(name=f"provider:{name}", ask=partial(checks.check_provider, gates, name, host))
                for name, host in hosts.items()
            ),
            *checks.plugged_in(settings),
        ),
    )
    heartbeat = Heartbeat(
        registry,
        lambda: replace(this_process, config_version=following.number() or None),
        every_s=BEAT_EVERY_S,
    )
    heartbeat.start()
    following.start()
    recorder = Recorder(operations, services.trends, registry, lambda: clock.now().timestamp())
    driving = Driving(services.mass_retries, dead, recorder)
    driving.start()
    try:
        serve(create_app(services), listener, services.stopping)
    finally:
        driving.stop()
        following.stop()
        heartbeat.stop()
        broker.close()
        broker.client.close()
        client.close()
        engine.dispose()


if __name__ == "__main__":
    sys.exit(main())
