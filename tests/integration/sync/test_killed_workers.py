"""Workers as they are deployed, killed with `kill -9` at each stage of a sync: the next one ends it well."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from benchmarks.sync.plant import differing_lists
from brokers.chain import open_sender
from brokers.dead_letters import DeadLetters
from brokers.messages import Request, SyncAssociationDirect
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.queues import Priority
from brokers.redis import PriorityRedisBroker
from simulator.running import running
from simulator.world.plans import AssociationPlan, GradePlan, SeasonPlan
from simulator.world.world import World
from stores.sql.engine import open_engine
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.model import OrganisationKind
from sync.report import Outcome
from tests.conftest import Eventually
from tests.integration.sync.kills import Asked, WatchedSimulator, created_twice, removed

ROOT = Path(__file__).parents[3]
GREENLETS = 8
# More grades than the least that are shared out over all workers.
GRADES = tuple(GradePlan(name=name, teams=4, rounds=3) for name in "ABCDEFGHIJ")
SEASON = SeasonPlan(competition="Seniors", starts_in_weeks=-2, grades=GRADES)
PLAN = AssociationPlan(clubs=4, seasons=(SEASON,))
KILLS = (
    Asked("/seasons"),
    Asked("/teams"),
    Asked("/fixture|/games", 3),
    Asked("/slack/webhook"),
)
ENDED_WITHIN_S = 60.0


@dataclass
class Installation:
    """A provider, the stores, and one worker after the other."""

    simulator: WatchedSimulator
    http: httpx.Client
    environ: dict[str, str]
    stores: SqlStores
    publisher: Publisher
    broker: PriorityRedisBroker
    client: redis.Redis
    namespace: str
    eventually: Eventually
    worker: subprocess.Popen[bytes]

    def start_worker(self) -> None:
        self.worker = start_worker(self.environ)

    def kill_worker(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.worker.pid, signal.SIGKILL)

    def bury(self) -> None:
        """See the worker dead; what it held ends by itself within seconds, and here at once."""
        assert self.worker.wait(ENDED_WITHIN_S) == -signal.SIGKILL
        for held in ("process:*", "lease:*", "answers:*:turn", "quota:*:places"):
            for key in self.client.scan_iter(f"{{{self.namespace}}}:{held}", count=1000):
                self.client.delete(key)
        self.eventually(self.broker.recover)

    def sync(self, organisation_id: str) -> str:
        message = SyncAssociationDirect(organisation_id=organisation_id)
        run_id = self.publisher.send(Request(message, Priority.NORMAL)).run_id
        assert run_id is not None
        return run_id

    def is_waiting_for_others(self) -> bool:
        """Whether a run has no grade of its own left to do; nothing else waits at a list."""
        clients: Any = self.client.client_list()
        return any(one["cmd"] == "blpop" and "b" in one["flags"] for one in clients)

    def has_succeeded(self, run_id: str) -> bool:
        outcome = self.stores.runs.find(run_id).outcome
        assert outcome in (None, Outcome.SUCCEEDED)
        return outcome is not None

    def assert_true(self, organisation_id: str) -> None:
        """What is stored is what the provider publishes."""
        truth = self.http.get(f"/_simulator/truth/association/{organisation_id}").json()
        stored = self.stores.exports.read(OrganisationKind.ASSOCIATION, organisation_id)
        assert not differing_lists(stored, truth)
        assert len(stored["grades"]) == len(GRADES)


def start_worker(environ: dict[str, str]) -> subprocess.Popen[bytes]:
    program = str(Path(sys.executable).with_name("dramatiq-gevent"))
    options = ["--processes", "1", "--threads", str(GREENLETS), "--skip-logging"]
    # A group of its own, so that a kill takes dramatiq's master and its worker.
    return subprocess.Popen(
        [program, "actors.worker:start", *options], cwd=ROOT, env=environ, start_new_session=True
    )


@pytest.fixture
def environ(redis_url: str, namespace: str, migrated_sqlite: Path, tmp_path: Path) -> dict[str, str]:
    """Of the workers, but for their provider."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLUBSYNC_")},
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": redis_url,
        "DATABASE_URL": f"sqlite:///{shutil.copy(migrated_sqlite, tmp_path / 'clubsync.db')}",
        "CLUBSYNC_HOME": str(tmp_path),
        "CLUBSYNC_REDIS__NAMESPACE": namespace,
        # A dead helper's grade may be begun anew after this long.
        "CLUBSYNC_SYNC__LEASE_S": "2",
    }


@pytest.fixture
def installation(
    environ: dict[str, str], redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> Iterator[Installation]:
    simulator = WatchedSimulator(World([PLAN] * (len(KILLS) + 1), seed=7, today=datetime.now(UTC).date()))
    simulator.asked = Counter()
    engine = open_engine(environ["DATABASE_URL"], busy_timeout_s=30)
    stores = open_stores(engine, SystemClock())
    broker = open_sender(environ["REDIS_URL"], namespace=namespace)
    with running(simulator) as address, httpx.Client(base_url=address, timeout=30) as http:
        environ |= {
            "CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": address,
            "CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": "simulator",
            "CLUBSYNC_PROVIDERS__PLAYHQ__REQUESTS_PER_S": "2000",
            "CLUBSYNC_NOTIFICATIONS__SLACK__WEBHOOK_URL": f"{address}/slack/webhook/test",
        }
        installation = Installation(
            simulator=simulator,
            http=http,
            environ=environ,
            stores=stores,
            publisher=Publisher(broker, runs=stores.runs, presets=lambda: ("full",), clock=SystemClock()),
            broker=broker,
            client=redis_client,
            namespace=namespace,
            eventually=eventually,
            worker=start_worker(environ),
        )
        yield installation
        installation.kill_worker()
        installation.worker.wait()
    broker.close()
    engine.dispose()


@pytest.mark.slow
def test_syncs_whose_workers_are_killed_at_each_stage_end_in_the_providers_data(
    installation: Installation, eventually: Eventually
) -> None:
    found = installation.http.get("/_simulator/accounts").json()
    associations = [account["organisation"] for account in found if account["type"] == "association"]
    run_ids = [killed_when_asked(installation, one, at) for one, at in zip(associations, KILLS, strict=False)]
    run_ids.append(killed_while_it_waits_for_its_grades(installation, associations[-1]))
    for run_id, association in zip(run_ids, associations, strict=True):
        eventually(lambda run_id=run_id: installation.has_succeeded(run_id))  # type: ignore[misc]
        installation.assert_true(association)
    assert (removed(installation.stores.engine), created_twice(installation.stores.engine)) == (set(), [])

    installation.worker.terminate()
    assert installation.worker.wait(ENDED_WITHIN_S) == 0
    assert list(DeadLetters(installation.broker).latest()) == []
    assert all(queue.ledger.is_balanced for queue in Operations(installation.broker).queues())


def killed_when_asked(installation: Installation, association: str, at: Asked) -> str:
    """The run, whose worker is killed as it asks; another worker has been started."""
    at.left = at.count
    installation.simulator.at, installation.simulator.strike = at, installation.kill_worker
    run_id = installation.sync(association)
    installation.bury()
    installation.simulator.at = None
    installation.start_worker()
    # The next kill is not to strike this run a second time.
    installation.eventually(lambda: installation.has_succeeded(run_id))
    return run_id


def killed_while_it_waits_for_its_grades(installation: Installation, association: str) -> str:
    """The run, whose grades are in hand everywhere, one of them for long, when everybody is killed."""
    truth = installation.http.get(f"/_simulator/truth/association/{association}").json()
    # Helpers begin with the first one, the run itself with the last.
    slow = {"kind": "latency", "path": f"*{truth['grades'][0]['id']}*", "latency_s": ENDED_WITHIN_S}
    installation.http.post("/_simulator/faults", json=slow).raise_for_status()
    run_id = installation.sync(association)
    installation.eventually(installation.is_waiting_for_others)
    installation.kill_worker()
    installation.bury()
    installation.http.delete("/_simulator/faults").raise_for_status()
    installation.start_worker()
    return run_id
