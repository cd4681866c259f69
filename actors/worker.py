"""The worker's entry point: settings -> clients -> broker -> actors.

`dramatiq-gevent actors.worker:start` calls it in each worker process, after the fork and
after gevent has patched the standard library.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

import dramatiq
from dramatiq.broker import MessageProxy

from actors.attendance import Attendance
from actors.catalogue import declare_all
from actors.following import Following
from actors.sync_grade import requests_for
from brokers.chain import WorkerParts, open_worker
from brokers.clients import open_client
from brokers.messages import Request, SendNotification
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.middleware.error_aware_retries import RetryRules
from brokers.publisher import Publisher
from cms.registry import CmsContext, listener_of, open_cms
from notifications.live import LiveNotifications
from providers.door import Timing, stoppable_sleep
from providers.outbound import Outbound
from providers.registry import InstalledSources, load_plugins
from settings import logs
from settings.loader import load
from settings.reload import InForce
from settings.schema import Settings
from stores.redis.answers import RedisAnswers
from stores.redis.breakers import RedisBreakers
from stores.redis.checkpoints import Checkpoints
from stores.redis.gathers import RedisGathers
from stores.redis.leases import RedisLeases
from stores.redis.progress import Progress
from stores.redis.quotas import RedisLedgers
from stores.redis.registry import BEAT_EVERY_S, Heartbeat, Registry, describe_process
from stores.redis.versions import open_reloader, when_redis_answers
from stores.sql.engine import open_engine
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.concurrency import InThreads
from sync.context import FanOut, Rules
from sync.errors import ConfigurationError, InvalidRequest
from sync.guard import Limits
from sync.ports import GradeTask
from sync.report import Run
from sync.run import SyncRequest, SyncRun

log = logging.getLogger(__name__)

# Read anew for each run, so that they take effect without a restart.
LIVE_RULES = (
    "sync.look_back_days",
    "sync.removal_confirmations",
    "sync.removal_max_count",
    "sync.removal_max_share",
    "providers",
    "http",
)


def start() -> None:
    """Build a worker from the settings and declare its actors on the global broker."""
    settings = load().settings
    logs.set_up(settings)
    if settings.redis.url is None:
        raise ConfigurationError("a worker needs REDIS_URL; clubsync worker and clubsync up give it one")
    redis_url = settings.redis.url.get_secret_value()
    clock = SystemClock()
    stores = open_stores(
        open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s), clock
    )
    namespace = settings.redis.namespace
    client = open_client(redis_url, max_connections=settings.redis.max_connections)
    process = describe_process("worker", clock)
    reloader = when_redis_answers(
        lambda: open_reloader(client, namespace, process.id, clock.now), threading.Event()
    )
    assert reloader is not None  # noqa: S101  nothing stops the waiting but Redis
    settings = reloader.in_force.loaded.settings
    drain = DrainOnSigterm()
    retries = RetryRules(max_retries=settings.sync.attempts - 1, max_deferral_s=settings.sync.max_deferral_s)

    def close_run(message: MessageProxy, error: BaseException) -> None:
        if run_id := message.kwargs.get("run_id"):
            sync_run.finish_as_failed(run_id, cast("Exception", error))

    broker = open_worker(
        redis_url,
        WorkerParts(rules=retries, drain=drain, on_dead=close_run, audit_log=None),
        namespace=namespace,
        max_connections=settings.redis.max_connections,
    )
    publisher = Publisher(broker, runs=stores.runs, presets=settings.presets.keys(), clock=clock)

    def publish(*, event: str, channel: str, run_id: str) -> None:
        message = SendNotification(event=event, channel=channel, run_id=run_id)
        publisher.send(Request(message, SendNotification.priority))

    notifications = LiveNotifications(
        settings.notifications, publish, stores.runs, stores.deliveries, lambda run: _name_of(run, stores)
    )
    cms = open_cms(CmsContext(settings=settings.cms, stores=stores, clock=clock))
    tell_cms = listener_of(cms)

    def announce(run: Run) -> None:
        notifications.announce(run)
        # Last, because it is the one part that is not repeatable.
        tell_cms(run)

    sync_run = SyncRun(
        sources=InstalledSources(
            load_plugins(),
            Outbound(
                ledgers=RedisLedgers(client, namespace),
                answers=RedisAnswers(client, namespace),
                breakers=RedisBreakers(client, namespace),
                timing=Timing(sleep=stoppable_sleep(drain)),
            ),
            lambda: reloader.in_force.loaded.settings,
        ),
        cms=cms,
        leases=RedisLeases(client, namespace, lease_s=settings.sync.lease_s),
        runs=stores.runs,
        checkpoints=Checkpoints(client, namespace),
        clock=clock,
        stop=drain,
        progress=Progress(client, namespace),
        map_concurrently=InThreads(settings.sync.grade_concurrency),
        announce=announce,
        fan_out=FanOut(
            gathers=RedisGathers(client, namespace, claim_s=settings.sync.lease_s),
            share_out=lambda tasks: publisher.send_many(requests_for(tasks)),
        ),
    )
    runs = RunsInForce(sync_run)

    def deliver(event: str, channel: str, run_id: str | None) -> None:
        if run_id is None:
            raise InvalidRequest("send_notification: run_id: required, every event is one of a run")
        notifications.deliver(event, channel, run_id)

    broker.add_middleware(
        Attendance(
            Heartbeat(
                Registry(client, namespace, clock),
                lambda: replace(process, config_version=reloader.in_force.number),
                every_s=BEAT_EVERY_S,
            ),
        )
    )
    reloader.follow(runs.take_over)
    reloader.subscribe(*LIVE_RULES, apply=None)
    reloader.subscribe("logging", apply=logs.set_up)
    reloader.subscribe("notifications", apply=lambda changed: notifications.apply(changed.notifications))
    reloader.subscribe("scheduler", "web", apply=None)
    broker.add_middleware(Following(reloader))
    declare_all(
        broker,
        perform_sync=runs.perform,
        perform_grade=runs.perform_grade,
        deliver=deliver,
        note_round_trip=_note_round_trip,
        attempts=settings.sync.attempts,
    )
    dramatiq.set_broker(broker)


class RunsInForce:
    """The sync run under the settings in force; a run that has begun keeps those it began with."""

    def __init__(self, current: SyncRun) -> None:
        self._current = current

    def take_over(self, in_force: InForce) -> None:
        rules = _rules(in_force.loaded.settings, version=in_force.number)
        self._current = replace(self._current, rules=rules)

    def perform(self, request: SyncRequest) -> Run:
        return self._current.perform(request)

    def perform_grade(self, task: GradeTask) -> None:
        self._current.perform_grade(task)


def _rules(settings: Settings, *, version: int) -> Rules:
    sync = settings.sync
    return Rules(
        zone=settings.providers.playhq.default_zone,
        look_back_days=sync.look_back_days,
        removal_confirmations=sync.removal_confirmations,
        limits=Limits(removal_max_count=sync.removal_max_count, removal_max_share=sync.removal_max_share),
        # "ASSOCIATION/SEASON" or "SEASON".
        extra_season_ids=frozenset(
            entry.lower().rpartition("/")[2] for entry in settings.providers.playhq.extra_season_ids
        ),
        default_provider=settings.providers.default,
        config_version=version,
    )


def _name_of(run: Run, stores: SqlStores) -> str | None:
    if run.account_id is not None:
        return stores.accounts.find(run.account_id).name
    return None


def _note_round_trip(requested_at: datetime | None) -> None:
    waited_s = (datetime.now(UTC) - requested_at).total_seconds() if requested_at else None
    log.info("health_round_trip", extra={"waited_s": waited_s})
