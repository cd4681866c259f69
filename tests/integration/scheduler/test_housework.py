"""What the scheduler does itself, on real stores: retention, dead letters, ledgers, orphans."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from brokers.dead_letters import DeadLetters
from brokers.delivery import rejected
from brokers.messages import Request, SyncClub
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from scheduler.orphans import OrphanSweep
from scheduler.queue_care import DeadLetterExpiry, LedgerCheck
from scheduler.retention import Retention
from settings.schema import RetentionSettings
from stores.redis.leases import RedisLeases
from stores.sql.accounts import NewAccount
from stores.sql.runs import RunFilter
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.model import OrganisationKind, Record
from sync.ports import Fence
from sync.report import Mode, RequestCounts, Run, RunState, Stage
from tests.records import created, game, grade, season, team
from tests.unit.scheduler.fakes import FakeClock

NOW = datetime.now(UTC)
OLD = NOW - timedelta(days=400)


def lead() -> None:
    """This scheduler leads."""


@pytest.fixture
def stores(sqlite_engine: Engine) -> SqlStores:
    return open_stores(sqlite_engine, SystemClock())


@pytest.fixture
def broker(redis_url: str, namespace: str) -> Iterator[PriorityRedisBroker]:
    opened = PriorityRedisBroker(url=redis_url, namespace=namespace)
    yield opened
    opened.close()


@pytest.fixture
def publisher(broker: PriorityRedisBroker, stores: SqlStores) -> Publisher:
    return Publisher(broker, runs=stores.runs, presets=lambda: ("full",), clock=SystemClock())


def a_run(state: RunState, requested_at: datetime, **fields: Any) -> Run:
    run = Run(
        id=uuid.uuid4().hex,
        mode=Mode.CLUB,
        preset="full",
        state=state,
        requested_at=requested_at,
        account_id=7,
        provider="playhq",
        organisation_id="club-1",
    )
    return replace(run, **fields)


class TestRetention:
    def test_old_rows_and_recordings_go_and_others_stay(self, stores: SqlStores, tmp_path: Path) -> None:
        old, open_still, new = (
            a_run(RunState.SUCCEEDED, OLD),
            a_run(RunState.RUNNING, OLD),
            a_run(RunState.FAILED, NOW),
        )
        stores.runs.request_many([old, open_still, new])
        recordings = tmp_path / "recordings"
        recordings.mkdir()
        for name, at in (("old", OLD), ("new", NOW)):
            path = recordings / f"{name}-1.jsonl.gz"
            path.write_bytes(b"")
            os.utime(path, (at.timestamp(), at.timestamp()))
        stores.mirror.apply(new.id, Stage.GAMES, [created(season())], fence=Fence("playhq:club-1", 1))
        stores.audit.record(actor="ann", source="cli", action="x", subject=None, detail={})
        work = Retention(RetentionSettings, stores.old_rows, tmp_path, SystemClock())
        found = work(lead)
        assert (found.changes, found.is_alarm) == ({"runs": 1, "recordings": 1}, False)
        left = {run.id for run in stores.runs.list(RunFilter(), limit=10).items}
        assert left == {open_still.id, new.id}
        assert [path.name for path in recordings.iterdir()] == ["new-1.jsonl.gz"]
        later = Retention(RetentionSettings, stores.old_rows, tmp_path, FakeClock(NOW + timedelta(days=1000)))
        assert later(lead).changes == {"changes": 1, "runs": 1, "audit lines": 1, "recordings": 1}
        assert later(lead).message == "nothing was old enough"


class TestQueues:
    def test_dead_letters_expire_by_their_death(
        self, broker: PriorityRedisBroker, publisher: Publisher, redis_client: redis.Redis
    ) -> None:
        for account_id in (1, 2):
            publisher.send(Request(SyncClub(account_id=account_id), Priority.LOW))
        process = broker.new_process(threads=1)
        for lent in process.turn(2, ["syncs"], []).lent:
            process.turn(0, ["syncs"], [rejected(lent)])
        expiry = DeadLetterExpiry(RetentionSettings, DeadLetters(broker), FakeClock(NOW))
        assert expiry(lead).changes == {}
        later = FakeClock(NOW + timedelta(days=31))
        expired = DeadLetterExpiry(RetentionSettings, DeadLetters(broker), later)(lead)
        assert expired.changes == {"syncs": 2}
        assert LedgerCheck(Operations(broker))(lead).message == "1 queues balance"
        process.leave()

    def test_a_ledger_that_does_not_balance_is_an_alarm(
        self, broker: PriorityRedisBroker, publisher: Publisher, redis_client: redis.Redis
    ) -> None:
        publisher.send(Request(SyncClub(account_id=1), Priority.LOW))
        redis_client.delete(f"{broker.key}:q:syncs:waiting:3")
        found = LedgerCheck(Operations(broker))(lead)
        assert found.is_alarm
        assert found.message == "does not balance: syncs: 1 messages are lost of 1 enqueued"


class TestOrphans:
    def sweep(self, stores: SqlStores, broker: PriorityRedisBroker, settled: list[str]) -> OrphanSweep:
        client: Any = broker.client
        return OrphanSweep(
            stores.runs,
            Operations(broker),
            RedisLeases(client, broker.namespace, lease_s=30),
            FakeClock(NOW + timedelta(hours=1)),
            on_settled=lambda run: settled.append(run.id),
        )

    def test_a_run_whose_message_is_gone_is_settled_and_one_that_has_it_is_not(
        self, stores: SqlStores, broker: PriorityRedisBroker, publisher: Publisher
    ) -> None:
        waits = publisher.send(Request(SyncClub(account_id=1), Priority.LOW)).run_id
        delayed = publisher.send(Request(SyncClub(account_id=2), Priority.LOW), delay_s=3600).run_id
        lost = publisher.send(Request(SyncClub(account_id=3), Priority.LOW))
        DeadLetters(broker).delete_by_id("syncs", [lost.message_id])
        settled: list[str] = []
        found = self.sweep(stores, broker, settled)(lead)
        assert (found.is_alarm, settled) == (True, [lost.run_id])
        states = {run.id: run.state for run in stores.runs.list(RunFilter(), limit=10).items}
        assert states == {waits: RunState.QUEUED, delayed: RunState.QUEUED, lost.run_id: RunState.FAILED}
        assert "its message is gone: it was queued" in (stores.runs.find(lost.run_id or "").message or "")
        assert self.sweep(stores, broker, settled)(lead).message == "every open run has its message"

    def test_a_run_by_hand_is_left_alone_while_it_holds_its_lease(
        self, stores: SqlStores, broker: PriorityRedisBroker, namespace: str
    ) -> None:
        undo = a_run(RunState.RUNNING, NOW)
        stores.runs.request(undo)
        client: Any = broker.client
        settled: list[str] = []
        with RedisLeases(client, namespace, lease_s=30).hold("playhq:club-1", owner=undo.id):
            self.sweep(stores, broker, settled)(lead)
            assert settled == []
        self.sweep(stores, broker, settled)(lead)
        assert settled == [undo.id]

    def test_a_young_run_is_given_time(self, stores: SqlStores, broker: PriorityRedisBroker) -> None:
        stores.runs.request(a_run(RunState.QUEUED, NOW + timedelta(minutes=55)))
        settled: list[str] = []
        self.sweep(stores, broker, settled)(lead)
        assert settled == []

    def test_messages_that_an_unknown_process_holds_run_again(
        self, stores: SqlStores, broker: PriorityRedisBroker, publisher: Publisher, redis_client: redis.Redis
    ) -> None:
        publisher.send(Request(SyncClub(account_id=1), Priority.LOW))
        process = broker.new_process(threads=1)  # it never beats, so nobody knows it
        assert len(process.turn(1, ["syncs"], []).lent) == 1
        redis_client.srem(f"{broker.key}:processes", process.name)
        found = self.sweep(stores, broker, [])(lead)
        assert found.changes == {"runs": 0, "messages": 1}
        broker.recover()
        assert broker.recover() == 1
        assert Operations(broker).ledger("syncs").waiting == 1


def test_who_plays_when_is_read_from_the_stored_games(stores: SqlStores) -> None:
    records: list[Record] = [
        season(),
        grade(),
        team("home"),
        team("away", club_id="club-2"),
        *(game(), game("far", days=(replace(game().days[0], day=date(2031, 12, 18)),))),
    ]
    stores.mirror.apply("r", Stage.GAMES, [created(record) for record in records], fence=Fence("a", 1))
    found = stores.matches.between(date(2031, 10, 11), date(2031, 10, 30))
    first = datetime(2031, 10, 18, 0, 0, tzinfo=UTC)
    second = datetime(2031, 10, 25, 13, 0, tzinfo=UTC)
    assert found == {name: [first, second] for name in ("club-1", "club-2", "association-1")}
    assert stores.matches.between(date(2031, 10, 26), date(2031, 11, 30)) == {}
    assert set(stores.matches.between(date(2031, 10, 11), date(2031, 10, 30), organisation_id="club-2")) == {
        "club-1",
        "club-2",
        "association-1",
    }


def test_the_cost_of_an_account_is_what_its_last_good_run_sent(stores: SqlStores) -> None:
    club = NewAccount(kind=OrganisationKind.CLUB, name="Hawks", provider="playhq", organisation_id="club-1")
    account_id = stores.accounts.add(club).id
    assert stores.costs.requests() == {}
    for sent, state in ((31, RunState.SUCCEEDED), (99, RunState.FAILED)):
        run = a_run(state, NOW, account_id=account_id, requests=RequestCounts(sent=sent))
        stores.runs.request(run)
        stores.runs.save(run)
    assert stores.costs.requests() == {account_id: 31}
