"""The service that schedules, built from its parts."""

from __future__ import annotations

from contextlib import suppress
from functools import partial

from brokers.dead_letters import DeadLetters
from brokers.operations import Operations
from notifications.live import LiveNotifications, Ports
from notifications.watch import Watch, open_watch
from providers.hosts import provider_hosts
from scheduler.actions import Actions, Note
from scheduler.batches import Batches
from scheduler.forecast import QuotaForecast
from scheduler.foundation import Foundation, monotonic_s
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
from settings.canary import Ending, Judge, Trial, described
from settings.live import ProcessRole
from settings.schema import RetentionSettings
from stores.redis.batches import Batches as BatchStore
from stores.redis.gates import Gates
from stores.redis.leadership import Leadership
from stores.redis.leases import RedisLeases
from stores.redis.looks import Looks
from stores.redis.registry import Registry
from stores.redis.schedule import SCHEDULER, Schedule
from stores.redis.turns import Turns
from stores.redis.versions import RedisVersions
from stores.sql.accounts import AccountFilter
from stores.sql.stores import SqlStores
from sync.errors import NotFound
from sync.report import Mode, Run

# A dead worker's messages run again within seconds even where no other worker lives.
RECOVER_EVERY_S = 2.0
JUDGE_EVERY_S = 1.0
# How often it is asked whether an interval of the alerts has begun.
WATCH_EVERY_S = 1.0


def build_service(foundation: Foundation, notifications: LiveNotifications) -> Service:
    client, namespace, stores = foundation.client, foundation.namespace, foundation.stores
    schedule, batch_store = Schedule(client, namespace), BatchStore(client, namespace)
    leader = Leader(
        Leadership(client, namespace),
        foundation.process.id,
        lease_s=foundation.settings.scheduler.lease_s,
        monotonic=monotonic_s,
    )
    batches = Batches(
        accounts=lambda: stores.accounts.each(AccountFilter()),
        outlook=partial(read_outlook, stores, foundation.in_force, foundation.clock),
        publisher=foundation.publisher,
        withdraw=Operations(foundation.broker).withdraw,
        store=batch_store,
        runs=stores.runs,
        clock=foundation.clock,
    )
    note = partial(stores.audit.record, actor=SCHEDULER, source=SCHEDULER)
    ticker = Ticker(
        schedule,
        leader,
        _actions(foundation, batches, note),
        foundation.clock,
        on_paused=lambda entry_id, reason: note(
            action="schedule_paused", subject=f"schedule:{entry_id}", detail={"reason": reason}
        ),
    )
    return Service(
        leader,
        ticker,
        Requests(leader, ticker, batches, schedule, batch_store),
        chores=[
            Chore("recover_leases", RECOVER_EVERY_S, foundation.broker.recover),
            Chore("watch", WATCH_EVERY_S, _watch(foundation, leader, schedule, notifications).turn),
            Chore("judge_canary", JUDGE_EVERY_S, _judge(foundation).look),
        ],
        clock=foundation.clock,
    )


def open_notifications(foundation: Foundation) -> LiveNotifications:
    client, namespace = foundation.client, foundation.namespace
    return LiveNotifications(
        foundation.settings,
        Ports(
            stores=foundation.stores,
            turns=Turns(client, namespace),
            publish=foundation.publisher.notify,
            size_of_batch=BatchStore(client, namespace).size_of,
            clock=foundation.clock,
        ),
    )


def _actions(foundation: Foundation, batches: Batches, note: Note) -> Actions:
    """The forecast asks the actions which batch a tick would start, and is one of them."""
    housework = _housework(foundation)
    actions = Actions(
        batches=batches,
        publisher=foundation.publisher,
        note=note,
        housework=housework,
        quota_share=lambda: foundation.in_force().cadence.quota_share,
        clock=batches.clock,
    )
    housework["forecast_quota"] = QuotaForecast(
        lambda: table(foundation.in_force().scheduler).values(),
        actions.planned,
        batches.accounts,
        batches.outlook,
        batches.clock,
    )
    return actions


def _housework(foundation: Foundation) -> dict[str, Housework]:
    def retention() -> RetentionSettings:
        return foundation.in_force().retention

    stores, broker, clock = foundation.stores, foundation.broker, foundation.clock
    operations = Operations(broker)
    leases = RedisLeases(foundation.client, foundation.namespace, lease_s=foundation.settings.sync.lease_s)
    on_settled = partial(_clear_flag, stores)
    return {
        "delete_old_rows": Retention(retention, stores.old_rows, foundation.in_force().home, clock),
        "expire_dead_letters": DeadLetterExpiry(retention, DeadLetters(broker), clock),
        "check_ledgers": LedgerCheck(operations),
        "sweep_orphans": OrphanSweep(stores.runs, operations, leases, clock, on_settled),
    }


def _clear_flag(stores: SqlStores, run: Run) -> None:
    """An account must not be shown as updating for ever."""
    if run.mode is Mode.UPDATE and run.account_id is not None:
        with suppress(NotFound):
            stores.accounts.set_flags(run.account_id, is_updating=False)


def _watch(
    foundation: Foundation, leader: Leader, schedule: Schedule, notifications: LiveNotifications
) -> Watch:
    client, namespace = foundation.client, foundation.namespace
    return open_watch(
        settings=foundation.in_force,
        stores=foundation.stores,
        operations=Operations(foundation.broker),
        batches=BatchStore(client, namespace),
        claim=Looks(client, namespace).claim,
        breaker_open_s=Gates(client, namespace).breaker_open_s,
        find_leader=lambda: leader.term,
        troubled_entries=schedule.troubled,
        hosts_of=lambda now: provider_hosts(now.providers),
        canary_endings=RedisVersions(client, namespace).endings,
        switched_off=Turns(client, namespace).switched_off,
        tell=notifications,
        publish=foundation.publisher.notify,
        clock=foundation.clock,
    )


def _judge(foundation: Foundation) -> Judge:
    """Ends the trial of a version of the settings, and notes how."""

    def tell(by: str, trial: Trial, ending: Ending) -> None:
        foundation.stores.audit.record(
            actor=by,
            source="scheduler",
            action="config_canary_ended",
            subject=str(trial.number),
            detail=described(trial, ending),
        )

    registry = Registry(foundation.client, foundation.namespace, foundation.clock)
    return Judge(
        RedisVersions(foundation.client, foundation.namespace),
        lambda: [service.id for service in registry.list() if service.role == ProcessRole.WORKER],
        lambda: foundation.in_force().canary,
        tell,
        foundation.clock.now,
    )
