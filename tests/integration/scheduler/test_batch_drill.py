"""A batch of thousands whose schedulers are killed, stopped and cut off while they send it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis
from sqlalchemy import Engine

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from scheduler.batches import run_id
from stores.redis.batches import Batch, Batches, BatchState, Cancellation, progress
from stores.redis.leadership import Leadership
from stores.sql.accounts import NewAccount
from stores.sql.engine import open_engine, writing
from stores.sql.migrate import upgrade
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.errors import StoreUnavailable
from sync.model import OrganisationKind
from sync.report import RunState
from tests.conftest import Eventually

ACCOUNTS = 3000  # six pieces
START_S = 60.0
Spawn = Callable[[], "subprocess.Popen[bytes]"]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[SqlStores]:
    engine = open_engine(f"sqlite:///{tmp_path}/clubsync.db", busy_timeout_s=20)
    upgrade(engine)
    opened = open_stores(engine, SystemClock())
    opened.accounts.add_many(
        [
            NewAccount(
                kind=OrganisationKind.CLUB, name=f"club {n}", provider="playhq", organisation_id=f"o{n}"
            )
            for n in range(ACCOUNTS)
        ]
    )
    yield opened
    engine.dispose()


@pytest.fixture
def spawn(redis_url: str, namespace: str, tmp_path: Path, stores: SqlStores) -> Iterator[Spawn]:
    """Starts `python -m scheduler`; what still lives at the end is killed."""
    environ = {
        **os.environ,
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{tmp_path}/clubsync.db",
        "CLUBSYNC_REDIS__NAMESPACE": namespace,
        "CLUBSYNC_SCHEDULER__LEASE_S": "1",
        "CLUBSYNC_HOME": str(tmp_path),
    }
    processes: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen([sys.executable, "-m", "scheduler"], env=environ))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Scene:
    """What the drill looks at; `eventually` waits for it."""

    batches: Batches
    operations: Operations
    leadership: Leadership
    stores: SqlStores
    eventually: Eventually

    def ask(self) -> Batch:
        batch = Batch(id=uuid.uuid4().hex, starts_at=datetime.now(UTC), requested_by="ann", spread_s=3600)
        self.batches.ask(batch)
        return batch

    def wait_for_progress(self, batch: Batch, beyond: int = 0) -> None:
        def has_gone_on() -> bool:
            now = self.batches.find(batch.id)
            return now.state is BatchState.SENT or now.sent > beyond

        self.eventually(has_gone_on, deadline_s=START_S)

    def wait_for(self, batch: Batch, state: BatchState) -> None:
        self.eventually(lambda: self.batches.find(batch.id).state is state, deadline_s=START_S)


@pytest.fixture
def scene(redis_client: redis.Redis, namespace: str, stores: SqlStores, eventually: Eventually) -> Scene:
    broker = PriorityRedisBroker(client=redis_client, namespace=namespace)
    return Scene(
        batches=Batches(redis_client, namespace),
        operations=Operations(broker),
        leadership=Leadership(redis_client, namespace),
        stores=stores,
        eventually=eventually,
    )


def leading_pid(leadership: Leadership) -> int | None:
    leader = leadership.find()
    return None if leader is None else int(leader.owner.rpartition(":")[2])


def check_that_each_account_is_in_it_once(batch: Batch, scene: Scene) -> None:
    assert scene.stores.runs.count_by_state(batch.id) == {RunState.QUEUED: ACCOUNTS}
    assert len(scene.stores.runs.account_ids(batch.id)) == ACCOUNTS
    ledger = scene.operations.ledger("syncs")
    assert (ledger.enqueued, ledger.delayed + ledger.waiting, ledger.coalesced) == (ACCOUNTS, ACCOUNTS, 0)
    ids = [str(uuid.UUID(run_id(batch.id, number))) for number in range(1, ACCOUNTS + 1)]
    assert Counter(scene.operations.states_of("syncs", ids)) == {"here": ACCOUNTS}


def test_a_batch_whose_senders_are_killed_again_and_again_loses_none_and_doubles_none(
    spawn: Spawn, scene: Scene
) -> None:
    dice = random.Random(11)
    batch = scene.ask()
    kills = 0
    while (now := scene.batches.find(batch.id)).state is not BatchState.SENT:
        process = spawn()
        scene.wait_for_progress(batch, beyond=now.sent)
        # A moment that differs each time: between messages, records and the note of both.
        time.sleep(dice.uniform(0.0, 0.05))
        process.kill()
        process.wait()
        kills += 1
    assert kills >= 3
    check_that_each_account_is_in_it_once(batch, scene)


def test_a_leader_that_stood_still_in_the_middle_of_a_batch_and_wakes_up_sends_nothing_twice(
    spawn: Spawn, scene: Scene
) -> None:
    first, second = spawn(), spawn()
    scene.eventually(lambda: leading_pid(scene.leadership), deadline_s=START_S)
    batch = scene.ask()
    scene.wait_for_progress(batch)
    stopped = first if leading_pid(scene.leadership) == first.pid else second
    stop_between_transactions(stopped, scene.stores.engine)
    scene.eventually(lambda: leading_pid(scene.leadership) not in (None, stopped.pid), deadline_s=START_S)
    scene.wait_for(batch, BatchState.SENT)
    led = scene.leadership.find()
    stopped.send_signal(signal.SIGCONT)
    # It is awake again once it tries to lead; what it would send it sends before that.
    stopped.terminate()
    assert stopped.wait(START_S) == 0
    # The one that slept neither led again nor took the other one's lease away.
    assert led is not None
    scene.eventually(lambda: (leads := scene.leadership.find()) and leads.owner == led.owner)
    check_that_each_account_is_in_it_once(batch, scene)


def stop_between_transactions(process: subprocess.Popen[bytes], engine: Engine) -> None:
    """Nobody could write to SQLite while a process stands still that holds its lock."""
    impatient = open_engine(str(engine.url), busy_timeout_s=0.2)
    while True:
        process.send_signal(signal.SIGSTOP)
        try:
            with writing(impatient):
                break
        except StoreUnavailable:
            process.send_signal(signal.SIGCONT)
    impatient.dispose()


def test_a_batch_that_is_cancelled_while_its_sender_is_killed_ends_with_the_truth(
    spawn: Spawn, scene: Scene
) -> None:
    batch = scene.ask()
    process = spawn()
    scene.wait_for_progress(batch)
    scene.batches.ask_to_cancel(Cancellation(batch_id=batch.id, by="ann", at=datetime.now(UTC)))
    process.kill()
    process.wait()
    spawn()
    scene.wait_for(batch, BatchState.CANCELLED)
    counts = scene.stores.runs.count_by_state(batch.id)
    state = progress(scene.batches.find(batch.id), counts, datetime.now(UTC))
    assert (state.is_finished, state.cancelled) == (True, ACCOUNTS)
    ledger = scene.operations.ledger("syncs")
    assert (ledger.waiting, ledger.delayed, ledger.leased, ledger.is_balanced) == (0, 0, 0, True)
