"""The worker's entry point: settings -> clients -> broker -> actors.

`dramatiq-gevent actors.worker:start` calls it in each worker process, after the fork and
after gevent has patched the standard library.
"""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime

import dramatiq

import actors.process.unneeded_imports  # noqa: F401  before what it spares
from actors.catalogue import SYNC_ACTORS, declare_all
from actors.process.attempts import Attempts
from actors.process.foundation import Foundation, lay_foundation
from actors.process.notifying import open_notifications, watch_task
from actors.process.outbox_delivery import outbox_delivery
from actors.process.periodic import PeriodicTasks
from actors.process.registration import Registration
from actors.process.run_parts import SuccessiveSources, build_delivery, build_run, open_outbound
from actors.process.runs_in_force import RunsInForce
from actors.process.settings_reload import SettingsReload
from brokers.chain import WorkerParts, open_worker
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.middleware.error_aware_retries import ErrorAwareRetries, RetryRules
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from brokers.tracing import trace
from cms.registry import EMBEDDED, CmsContext, behind_outbox, open_cms, told_to
from notifications.live import LiveNotifications
from providers.registry import load_plugins
from settings import logs
from settings.plugins import Kind, tell_broken
from settings.schema import Settings
from stores.redis.versions import RedisVersions
from stores.sql.migrate import check_schema
from sync.errors import NotFound
from sync.ports import Cms

log = logging.getLogger(__name__)

# Checks are the web process's to make; importing them brings its framework along, 11 MB of it.
KINDS_USED = [kind for kind in Kind if kind is not Kind.CHECKS]


def start() -> None:
    """Build a worker from the settings and declare its actors on the global broker."""
    foundation = lay_foundation()
    registration = Registration(foundation)
    registration.begin()
    tell_broken(KINDS_USED)
    foundation.start_up.wait_for("sql", lambda: check_schema(foundation.stores.engine))
    drain, runs = DrainOnSigterm(), RunsInForce()
    retries = ErrorAwareRetries(_retry_rules(foundation.settings), on_dead=runs.close)
    broker = _open_broker(foundation, retries, drain, runs)
    publisher = Publisher(
        broker,
        runs=foundation.stores.runs,
        presets=lambda: foundation.in_force.presets,
        clock=foundation.clock,
    )
    context = CmsContext(settings=foundation.settings.cms, stores=foundation.stores, clock=foundation.clock)
    cms = open_cms(context)
    foundation.start_up.wait_for("cms", lambda: _ask_cms(cms))
    notifications = open_notifications(foundation, publisher, cms)
    attempts = Attempts(
        RedisVersions(foundation.client, foundation.namespace).count_attempt,
        foundation.process.id,
        lambda: foundation.reloader.in_force.number,
    )
    sources = SuccessiveSources(load_plugins(), open_outbound(foundation, drain))
    run = build_run(
        foundation,
        drain,
        publisher,
        behind_outbox(cms, context, foundation.outbox),
        told_to(cms, foundation.stores.runs),
        notifications,
        sources.open(foundation.settings),
    )
    runs.begin(run, sources.open, look_again=foundation.reloader.look, attempts=attempts)
    _follow_settings(foundation, broker, runs, retries, notifications)
    broker.add_middleware(registration)
    broker.add_middleware(SettingsReload(foundation.reloader))
    tasks = [watch_task(foundation, broker, publisher, notifications)]
    if context.settings.kind != EMBEDDED:
        tasks.append(outbox_delivery(build_delivery(foundation, cms, runs), foundation.process.id))
    broker.add_middleware(PeriodicTasks(tasks))

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
    registration.show_queues(broker)
    dramatiq.set_broker(broker)


def _retry_rules(settings: Settings) -> RetryRules:
    sync = settings.sync
    return RetryRules(max_retries=sync.attempts - 1, max_deferral_s=sync.max_deferral_s)


def _open_broker(
    foundation: Foundation, retries: ErrorAwareRetries, drain: DrainOnSigterm, runs: RunsInForce
) -> PriorityRedisBroker:
    def fresh_ms(actor_name: str) -> int:
        return round(foundation.in_force.sync.result_fresh_s * 1000) if actor_name in SYNC_ACTORS else 0

    broker = open_worker(
        foundation.redis_url,
        WorkerParts(retries=retries, drain=drain, on_reused=runs.answer, fresh_ms=fresh_ms),
        namespace=foundation.namespace,
        max_connections=foundation.settings.redis.max_connections,
    )
    trace(broker, "worker", is_on=foundation.settings.tracing.is_on)
    return broker


def _follow_settings(
    foundation: Foundation,
    broker: PriorityRedisBroker,
    runs: RunsInForce,
    retries: ErrorAwareRetries,
    notifications: LiveNotifications,
) -> None:
    def change_retries(changed: Settings) -> None:
        retries.rules = _retry_rules(changed)

    def change_leases(changed: Settings) -> None:
        foundation.leases.lease_s = foundation.gathers.claim_s = changed.sync.lease_s

    def resize(changed: Settings) -> None:
        broker.resize(slots=changed.worker.greenlets, reserved=changed.worker.reserved_for_urgent)

    resize(foundation.settings)  # dramatiq's command line knows nothing of live overrides
    reloader = foundation.reloader
    reloader.follow(runs.take_over)
    reloader.subscribe("worker.greenlets", "worker.reserved_for_urgent", apply=resize)
    reloader.subscribe("sync", apply=change_retries)
    reloader.subscribe("sync.lease_s", apply=change_leases)
    reloader.subscribe("logging", apply=logs.set_up)
    reloader.subscribe("notifications", "alerts", apply=notifications.apply)


def _ask_cms(cms: Cms) -> None:
    with contextlib.suppress(NotFound):
        cms.find_account(0)


def _note_round_trip(requested_at: datetime | None) -> None:
    waited_s = (datetime.now(UTC) - requested_at).total_seconds() if requested_at else None
    log.info("health_round_trip", extra={"waited_s": waited_s})
