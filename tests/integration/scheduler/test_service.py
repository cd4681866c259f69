from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
import pytest
import redis
from sqlalchemy import Engine

from brokers.messages import Request, SyncClub
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from scheduler.actions import Actions
from scheduler.batches import Batches
from scheduler.leader import Leader
from scheduler.outlook import Outlook
from scheduler.requests import Requests
from scheduler.schedule import Tick
from scheduler.service import Chore, Service
from scheduler.ticker import Ticker
from settings.scheduling import ScheduleEntry, SchedulerSettings
from stores.redis.batches import Batch, BatchState, Cancellation, Chosen
from stores.redis.batches import Batches as BatchStore
from stores.redis.clock import RedisClock
from stores.redis.leadership import Leadership
from stores.redis.schedule import RunNow, Schedule
from stores.sql.accounts import AccountFilter, NewAccount
from stores.sql.runs import RunFilter
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.model import OrganisationKind
from sync.report import RunState
from tests.conftest import Eventually

ACCOUNTS = 3
CLOCK = SystemClock()


@pytest.fixture
def stores(sqlite_engine: Engine) -> SqlStores:
    """A database with three clubs."""
    opened = open_stores(sqlite_engine, CLOCK)
    opened.accounts.add_many(
        [
            NewAccount(
                kind=OrganisationKind.CLUB, name=f"club {n}", provider="playhq", organisation_id=f"o{n}"
            )
            for n in range(ACCOUNTS)
        ]
    )
    return opened


@pytest.fixture
def chores() -> list[float]:
    """When the chore was done."""
    return []


@pytest.fixture
def service(
    redis_url: str, redis_client: redis.Redis, namespace: str, stores: SqlStores, chores: list[float]
) -> Iterator[Service]:
    broker = PriorityRedisBroker(url=redis_url, namespace=namespace)
    publisher = Publisher(broker, runs=stores.runs, presets=lambda: ("full", "quick"), clock=CLOCK)
    schedule, store = Schedule(redis_client, namespace), BatchStore(redis_client, namespace)
    leader = Leader(Leadership(redis_client, namespace), "me", lease_s=3.0, monotonic=time.monotonic)
    batches = Batches(
        accounts=lambda: stores.accounts.each(AccountFilter()),
        outlook=Outlook,
        publisher=publisher,
        withdraw=Operations(broker).withdraw,
        store=store,
        runs=stores.runs,
        clock=CLOCK,
    )
    ticker = Ticker(
        schedule,
        leader,
        Actions(
            batches=batches,
            publisher=publisher,
            note=lambda **_: None,
            housework={},
            quota_share=lambda: 0.5,
            clock=CLOCK,
        ),
        CLOCK,
        lambda *_: None,
    )
    requests = Requests(leader, ticker, batches, schedule, store)
    running = Service(
        leader,
        ticker,
        requests,
        [Chore("count", 0.2, lambda: chores.append(time.monotonic()))],
        RedisClock(redis_client, time.monotonic),
    )
    yield running
    running.stop()
    broker.close()


def settings(**entries: ScheduleEntry) -> SchedulerSettings:
    return SchedulerSettings(entries=entries)


def test_the_table_is_swept_and_can_be_replaced_while_it_runs(
    service: Service,
    redis_client: redis.Redis,
    namespace: str,
    eventually: Eventually,
    chores: list[float],
) -> None:
    def checks() -> int:
        return int(redis_client.hlen(f"{{{namespace}}}:values"))

    service.start(settings(checks=ScheduleEntry(every_s=1, action="check_health")))
    eventually(lambda: checks() > 8)
    eventually(lambda: chores)
    service.apply(settings(nightly=ScheduleEntry(every_s=1, spread_s=60, overlap="allow")))
    schedule = Schedule(redis_client, namespace)
    eventually(lambda: (nightly := schedule.states().get("nightly")) and nightly.last)
    states = schedule.states()
    assert states["nightly"].last is not None
    assert states["nightly"].last.message == f"{ACCOUNTS} accounts"


def test_a_batch_that_was_asked_for_is_sent_once_with_a_run_for_each_account(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually, stores: SqlStores
) -> None:
    store = BatchStore(redis_client, namespace)
    batch = Batch(id=uuid.uuid4().hex, starts_at=CLOCK.now(), requested_by="ann", preset="quick")
    store.ask(batch)
    store.ask(batch)
    service.start(settings())
    eventually(lambda: store.find(batch.id).state is BatchState.SENT)
    eventually(lambda: not store.asked())
    runs = stores.runs.list(RunFilter(batch_id=batch.id), limit=10).items
    assert sorted(run.account_id or 0 for run in runs) == [1, 2, 3]
    assert {run.preset for run in runs} == {"quick"}
    assert store.list()[0].id == batch.id


def test_a_batch_that_cannot_be_is_failed_and_says_why(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    store = BatchStore(redis_client, namespace)
    batch = Batch(id=uuid.uuid4().hex, starts_at=CLOCK.now(), requested_by="ann", preset="fast")
    store.ask(batch)
    service.start(settings())
    eventually(lambda: store.find(batch.id).state is BatchState.FAILED)
    assert "'fast' is not known" in (store.find(batch.id).message or "")


def test_a_batch_that_is_cancelled_leaves_no_message_and_no_open_run_but_those_of_others(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually, stores: SqlStores
) -> None:
    store = BatchStore(redis_client, namespace)
    batch = Batch(id=uuid.uuid4().hex, starts_at=CLOCK.now(), requested_by="ann", spread_s=3600)
    batch = msgspec.structs.replace(batch, starts_at=batch.starts_at + timedelta(minutes=1))
    store.ask(batch)
    service.start(settings())
    eventually(lambda: store.find(batch.id).state is BatchState.SENT)
    broker = PriorityRedisBroker(client=redis_client, namespace=namespace)
    publisher = Publisher(broker, runs=stores.runs, presets=lambda: ("full",), clock=CLOCK)
    assert publisher.send(Request(SyncClub(account_id=2), Priority.LOW)).is_coalesced
    store.ask_to_cancel(Cancellation(batch_id=batch.id, by="ann", at=CLOCK.now()))
    eventually(lambda: store.find(batch.id).state is BatchState.CANCELLED)
    eventually(lambda: not store.cancellations())
    said = "cancelled by ann: 2 withdrawn, 1 stay, because somebody else asked for them"
    assert store.find(batch.id).message == said
    states = {run.account_id: run.state for run in stores.runs.list(RunFilter(), limit=10).items}
    assert states == {1: RunState.CANCELLED, 2: RunState.QUEUED, 3: RunState.CANCELLED}
    ledger = Operations(broker).ledger("syncs")
    assert (ledger.waiting + ledger.delayed, ledger.deleted, ledger.is_balanced) == (1, 2, True)
    # Who was withdrawn may be asked for anew.
    assert not publisher.send(Request(SyncClub(account_id=1), Priority.LOW)).is_coalesced
    broker.close()


def test_an_account_of_two_batches_is_withdrawn_with_the_last_of_them_only(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually, stores: SqlStores
) -> None:
    store = BatchStore(redis_client, namespace)
    soon = CLOCK.now() + timedelta(minutes=1)
    first, second, third = (
        Batch(id=uuid.uuid4().hex, starts_at=soon, requested_by="ann", spread_s=3600) for _ in range(3)
    )
    service.start(settings())

    def reaches(batch: Batch, state: BatchState) -> bool:
        return store.find(batch.id).state is state

    for batch in (first, second, third):
        store.ask(batch)
        eventually(partial(reaches, batch, BatchState.SENT))

    def cancel(batch: Batch) -> str:
        store.ask_to_cancel(Cancellation(batch_id=batch.id, by="ann", at=CLOCK.now()))
        eventually(partial(reaches, batch, BatchState.CANCELLED))
        return store.find(batch.id).message or ""

    def states() -> set[RunState]:
        return {run.state for run in stores.runs.list(RunFilter(), limit=10).items}

    assert cancel(third) == "cancelled by ann: 0 withdrawn"
    assert cancel(first) == "cancelled by ann: 0 withdrawn, 3 stay, because somebody else asked for them"
    assert states() == {RunState.QUEUED}
    cancel(second)
    assert states() == {RunState.CANCELLED}
    said = {run.message for run in stores.runs.list(RunFilter(), limit=10).items}
    assert said == {"every batch that asked for it was cancelled, the last one by ann"}
    broker = PriorityRedisBroker(client=redis_client, namespace=namespace)
    ledger = Operations(broker).ledger("syncs")
    assert (ledger.waiting + ledger.delayed, ledger.deleted, ledger.is_balanced) == (0, 3, True)
    assert redis_client.hlen(f"{{{namespace}}}:sharers") == 0
    broker.close()


def test_an_entry_may_cancel_its_last_batch_and_says_so(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually, stores: SqlStores
) -> None:
    store, schedule = BatchStore(redis_client, namespace), Schedule(redis_client, namespace)
    service.start(settings(often=ScheduleEntry(every_s=1, spread_s=3600, overlap="cancel")))

    def said() -> str:
        state = schedule.states().get("often")
        return (state and state.last and state.last.message) or ""

    eventually(lambda: "3 accounts; the last batch: cancelled by scheduler: 3 withdrawn" in said())
    service.stop()
    counts = [stores.runs.count_by_state(batch.id) for batch in store.list()]
    assert counts[-1] == {RunState.CANCELLED: ACCOUNTS}
    assert sum(count.get(RunState.QUEUED, 0) for count in counts) <= ACCOUNTS


def test_a_batch_whose_entry_was_taken_out_while_its_leader_died_is_sent_to_its_end(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually, stores: SqlStores
) -> None:
    store, schedule = BatchStore(redis_client, namespace), Schedule(redis_client, namespace)
    leadership, now = Leadership(redis_client, namespace), CLOCK.now().replace(microsecond=0)
    leadership.take("the one before", 30)
    schedule.claim("gone", "as it was", now, owner="the one before")
    batch_id = Tick("gone", now, now).id
    store.save_line(batch_id, [Chosen(number, is_club=True) for number in (1, 2, 3)])
    begun = Batch(id=batch_id, starts_at=now, requested_by="scheduler", entry_id="gone", total=3, sent=1)
    store.save(msgspec.structs.replace(begun, state=BatchState.SENDING))
    leadership.give_up("the one before")
    service.start(settings())
    eventually(lambda: store.find(batch_id).state is BatchState.SENT)
    assert sorted(run.account_id or 0 for run in stores.runs.list(RunFilter(), limit=10).items) == [2, 3]
    assert not store.sending()


def test_run_now_carries_out_an_entry_without_a_tick(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually, stores: SqlStores
) -> None:
    schedule = Schedule(redis_client, namespace)
    for entry_id in ("nightly", "unknown"):
        request = RunNow(id=uuid.uuid4().hex, entry_id=entry_id, requested_by="ann", requested_at=CLOCK.now())
        schedule.ask(request)
    service.start(settings(nightly=ScheduleEntry(cron="0 1 1 1 *")))
    eventually(lambda: not schedule.asked())
    assert len(stores.runs.list(RunFilter(), limit=10).items) == ACCOUNTS


def test_an_orderly_stop_lets_the_next_one_lead_at_once(
    service: Service, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    leadership: Any = Leadership(redis_client, namespace)
    service.start(settings())
    eventually(lambda: leadership.find() is not None)
    service.stop()
    assert leadership.find() is None
