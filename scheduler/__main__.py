"""The scheduler's entry point: settings -> clients -> broker -> service."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

import redis

from brokers import embedded
from brokers.chain import open_sender
from brokers.clients import open_client
from brokers.dead_letters import DeadLetters
from brokers.inbox import Inbox
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from brokers.tracing import trace
from notifications.live import LiveNotifications, Ports
from notifications.watch import open_watch
from providers.hosts import provider_hosts
from scheduler.actions import Actions, Note
from scheduler.batches import Batches
from scheduler.forecast import QuotaForecast
from scheduler.housework import Housework
from scheduler.leader import Leader
from scheduler.orphans import OrphanSweep
from scheduler.outlook import read_outlook
from scheduler.queue_care import DeadLetterExpiry, LedgerCheck
from scheduler.requests import Requests
from scheduler.retention import Retention
from scheduler.schedule import table
from scheduler.service import Chore, Service
from scheduler.ticker import Ticker
from settings import logs
from settings.canary import Ending, Judge, Trial, described
from settings.live import ProcessRole
from settings.loader import load
from settings.reload import Reloader
from settings.schema import RetentionSettings, Settings
from stores.redis.batches import Batches as BatchStore
from stores.redis.clock import RedisClock
from stores.redis.gates import Gates
from stores.redis.leadership import Leadership
from stores.redis.leases import RedisLeases
from stores.redis.looks import Looks
from stores.redis.registry import BEAT_EVERY_S, Heartbeat, Registry, describe_process
from stores.redis.schedule import SCHEDULER, Schedule
from stores.redis.turns import Turns
from stores.redis.versions import RedisVersions, open_reloader, when_redis_answers
from stores.sql.accounts import AccountFilter
from stores.sql.audit import AuditLog
from stores.sql.engine import open_engine
from stores.sql.stores import SqlStores, open_stores
from sync.errors import ConfigurationError, NotFound, SyncError
from sync.ports import Clock
from sync.report import Mode, Run

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
# A dead worker's messages run again within seconds even where no other worker lives.
RECOVER_EVERY_S = 2.0
JUDGE_EVERY_S = 1.0
LOOK_EVERY_S = 0.5
# How often it is asked whether an interval of the alerts has begun.
WATCH_EVERY_S = 1.0


def main() -> int:
    """Schedule until SIGTERM; 0 after an orderly end, 1 or 2 with one clear sentence."""
    try:
        settings = load().settings
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201 before there is a log
        return EXIT_WRONG_USE
    logs.set_up(settings)
    try:
        if settings.redis.url is not None:
            _serve(settings, settings.redis.url.get_secret_value())
            return 0
        server = embedded.start(settings.home)
        try:
            _serve(settings, server.url)
        finally:
            server.stop()
    except (ConfigurationError, SyncError) as error:
        print(error, file=sys.stderr)  # noqa: T201 for the person who started it
        return EXIT_FAILED
    return 0


def _serve(settings: Settings, redis_url: str) -> None:
    namespace = settings.redis.namespace
    stopping = _stopped_by_signals()
    client = open_client(redis_url, max_connections=settings.redis.max_connections)
    # The time that all processes share: this machine's clock may be set at any moment.
    clock = RedisClock(client, _monotonic)
    process = describe_process("scheduler", clock)
    reloader = when_redis_answers(
        lambda: open_reloader(client, namespace, ProcessRole.SCHEDULER, process.id, clock.now), stopping
    )
    if reloader is None:
        return
    clock.read()
    settings = reloader.in_force.loaded.settings
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    stores = open_stores(engine, clock)
    broker = open_sender(redis_url, namespace=namespace, audit_log=stores.audit)
    trace(broker, "scheduler", is_on=settings.tracing.is_on)
    publisher = Publisher(
        broker,
        runs=stores.runs,
        presets=lambda: reloader.in_force.loaded.settings.presets,
        clock=clock,
    )
    schedule, batch_store = Schedule(client, namespace), BatchStore(client, namespace)
    registry = Registry(client, namespace, clock)
    leader = Leader(
        Leadership(client, namespace),
        process.id,
        lease_s=settings.scheduler.lease_s,
        monotonic=_monotonic,
    )

    def in_force() -> Settings:
        return reloader.in_force.loaded.settings

    batches = Batches(
        accounts=lambda: stores.accounts.each(AccountFilter()),
        outlook=partial(read_outlook, stores, in_force, clock),
        publisher=publisher,
        withdraw=Operations(broker).withdraw,
        store=batch_store,
        runs=stores.runs,
        clock=clock,
    )
    note = partial(stores.audit.record, actor=SCHEDULER, source=SCHEDULER)
    leases = RedisLeases(client, namespace, lease_s=settings.sync.lease_s)
    actions = _actions(
        in_force, batches, publisher, note, _housework(in_force, stores, broker, leases, clock)
    )
    ticker = Ticker(
        schedule,
        leader,
        actions,
        clock,
        on_paused=lambda entry_id, reason: note(
            action="schedule_paused", subject=f"schedule:{entry_id}", detail={"reason": reason}
        ),
    )
    turns = Turns(client, namespace)
    notifications = LiveNotifications(
        settings,
        Ports(
            stores=stores,
            turns=turns,
            publish=publisher.notify,
            size_of_batch=batch_store.size_of,
            clock=clock,
        ),
    )
    watch = open_watch(
        settings=in_force,
        stores=stores,
        operations=Operations(broker),
        batches=batch_store,
        claim=Looks(client, namespace).claim,
        breaker_open_s=Gates(client, namespace).breaker_open_s,
        find_leader=lambda: leader.term,
        troubled_entries=schedule.troubled,
        hosts_of=lambda now: provider_hosts(now.providers),
        canary_endings=RedisVersions(client, namespace).endings,
        switched_off=turns.switched_off,
        tell=notifications,
        publish=publisher.notify,
        clock=clock,
    )
    service = Service(
        leader,
        ticker,
        Requests(leader, ticker, batches, schedule, batch_store),
        chores=[
            Chore("recover_leases", RECOVER_EVERY_S, broker.recover),
            Chore("watch", WATCH_EVERY_S, watch.turn),
            Chore(
                "judge_canary", JUDGE_EVERY_S, _judge(client, reloader, registry, stores.audit, clock).look
            ),
        ],
        clock=clock,
    )
    # Not a chore of whoever leads: several may read, and an entry then starts within milliseconds.
    inbox = Inbox(broker, publisher, runs=stores.runs)
    reader = threading.Thread(target=inbox.run, name="inbox", daemon=True)
    heartbeat = Heartbeat(
        registry,
        lambda: replace(process, config_version=reloader.in_force.number),
        every_s=BEAT_EVERY_S,
    )
    _follow(reloader, service)
    reloader.subscribe("notifications", "alerts", apply=notifications.apply)
    reloading = threading.Thread(target=reloader.run, args=[stopping], name="reloader", daemon=True)
    heartbeat.start()
    service.start(settings.scheduler)
    reader.start()
    reloading.start()
    try:
        # A signal that comes just before a wait does not end it, so no wait is for ever.
        while not stopping.wait(LOOK_EVERY_S):
            pass
    finally:
        inbox.stop()
        service.stop()
        reader.join()
        reloading.join()
        heartbeat.stop()
        broker.close()
        client.close()
        engine.dispose()


def _actions(
    settings: Callable[[], Settings],
    batches: Batches,
    publisher: Publisher,
    note: Note,
    housework: dict[str, Housework],
) -> Actions:
    """The forecast asks the actions which batch a tick would start, and is one of them."""
    actions = Actions(
        batches=batches,
        publisher=publisher,
        note=note,
        housework=housework,
        quota_share=lambda: settings().cadence.quota_share,
        clock=batches.clock,
    )
    housework["forecast_quota"] = QuotaForecast(
        lambda: table(settings().scheduler).values(),
        actions.planned,
        batches.accounts,
        batches.outlook,
        batches.clock,
    )
    return actions


def _housework(
    settings: Callable[[], Settings],
    stores: SqlStores,
    broker: PriorityRedisBroker,
    leases: RedisLeases,
    clock: Clock,
) -> dict[str, Housework]:
    def retention() -> RetentionSettings:
        return settings().retention

    operations = Operations(broker)
    on_settled = partial(_clear_flag, stores)
    return {
        "delete_old_rows": Retention(retention, stores.old_rows, settings().home, clock),
        "expire_dead_letters": DeadLetterExpiry(retention, DeadLetters(broker), clock),
        "check_ledgers": LedgerCheck(operations),
        "sweep_orphans": OrphanSweep(stores.runs, operations, leases, clock, on_settled),
    }


def _clear_flag(stores: SqlStores, run: Run) -> None:
    """An account must not be shown as updating for ever."""
    if run.mode is Mode.UPDATE and run.account_id is not None:
        with suppress(NotFound):
            stores.accounts.set_flags(run.account_id, is_updating=False)


def _stopped_by_signals() -> threading.Event:
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    return stopping


def _monotonic() -> float:
    """Seconds that go on while the machine sleeps, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _judge(
    client: redis.Redis, reloader: Reloader, registry: Registry, audit: AuditLog, clock: Clock
) -> Judge:
    """Ends the trial of a version of the settings, and notes how."""

    def tell(by: str, trial: Trial, ending: Ending) -> None:
        audit.record(
            actor=by,
            source="scheduler",
            action="config_canary_ended",
            subject=str(trial.number),
            detail=described(trial, ending),
        )

    settings = reloader.in_force.loaded.settings
    return Judge(
        RedisVersions(client, settings.redis.namespace),
        lambda: [service.id for service in registry.list() if service.role == ProcessRole.WORKER],
        lambda: reloader.in_force.loaded.settings.canary,
        tell,
        clock.now,
    )


def _follow(reloader: Reloader, service: Service) -> None:
    reloader.subscribe("logging", apply=logs.set_up)
    reloader.subscribe("scheduler.entries", apply=lambda settings: service.apply(settings.scheduler))
    signal.signal(signal.SIGHUP, lambda _number, _frame: reloader.ask())


if __name__ == "__main__":
    sys.exit(main())
