"""The engine over its real ports: a simulator over HTTP, SQLite and Redis."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import Engine

from cms.embedded.plugin import open_cms
from cms.registry import CmsContext
from providers.outbound import Outbound
from providers.registry import InstalledSources, load_plugins
from settings.schema import CmsSettings, Settings
from simulator.app import Simulator
from simulator.running import running
from simulator.world.sizes import plan_world
from simulator.world.world import World
from stores.redis.answers import TURN_LIVES_S, RedisAnswers
from stores.redis.breakers import RedisBreakers
from stores.redis.checkpoints import Checkpoints
from stores.redis.gathers import RedisGathers
from stores.redis.leases import RedisLeases
from stores.redis.progress import Progress
from stores.redis.quotas import RedisLedgers
from stores.redis.seals import RedisSeals
from stores.sql.stores import SqlStores, open_stores
from sync.concurrency import InThreads
from sync.context import FanOut, Rules
from sync.model import OrganisationKind
from sync.report import Mode, Run
from sync.request import SyncRequest
from sync.run import SyncRun
from tests.fakes import FakeClock, FakeStopSignal

TODAY = date(2031, 11, 24)
LISTS = ("seasons", "grades", "teams", "games", "ladders")


@dataclass
class Bench:
    """One worker's engine, the simulator's address and what is stored."""

    sync_run: SyncRun
    stores: SqlStores
    http: httpx.Client
    clock: FakeClock
    engine: Engine
    settings: Settings
    outbound: Outbound
    announced: list[Run] = field(default_factory=list)

    def configure(self, **playhq: object) -> None:
        """Change settings of the provider, as a reload does."""
        document = self.settings.model_dump()
        document["providers"]["playhq"] |= playhq
        settings = Settings.model_validate(document)
        sources = InstalledSources(load_plugins(), self.outbound, settings)
        self.sync_run = replace(self.sync_run, sources=sources)

    def change(self, kind: str, organisation_id: str) -> None:
        """Let the provider's people change something."""
        self.http.post(
            "/_simulator/changes", json={"kind": kind, "organisation": organisation_id}
        ).raise_for_status()

    def request(self, mode: Mode, organisation_id: str) -> SyncRequest:
        # Answers fetched by earlier runs are asked for again.
        self.clock.at += timedelta(seconds=1)
        return SyncRequest(
            run_id=uuid.uuid4().hex,
            mode=mode,
            requested_at=self.clock.now(),
            organisation_id=organisation_id,
            fresh_after=datetime.now(UTC),
        )

    def sync(self, kind: OrganisationKind, organisation_id: str) -> Run:
        mode = Mode.CLUB_DIRECT if kind is OrganisationKind.CLUB else Mode.ASSOCIATION_DIRECT
        return self.sync_run.perform(self.request(mode, organisation_id))

    def accounts(self, kind: OrganisationKind) -> list[str]:
        found = self.http.get("/_simulator/accounts", params={"tenant": "ca"}).json()
        return [account["organisation"] for account in found if account["type"] == kind]

    def assert_true(self, kind: OrganisationKind, organisation_id: str) -> None:
        """What is stored is what the simulator says a sync has to store."""
        truth: dict[str, Any] = self.http.get(f"/_simulator/truth/{kind}/{organisation_id}").json()
        stored = self.stores.exports.read(kind, organisation_id)
        for name in LISTS:
            is_, should = _by_key(stored[name]), _by_key(truth[name])
            assert is_.keys() == should.keys(), name
            differing = {
                key: {
                    field: (is_[key].get(field), value)
                    for field, value in should[key].items()
                    if is_[key].get(field) != value
                }
                for key in should
            }
            assert {key: fields for key, fields in differing.items() if fields} == {}, name


def _by_key(records: list[Any]) -> dict[Any, Any]:
    return {
        record.get("id") or (record["grade_id"], record["type"], record["pool_id"]): record
        for record in records
    }


@contextmanager
def open_bench(
    http: httpx.Client,
    engine: Engine,
    client: redis.Redis,
    namespace: str,
    clock: FakeClock,
    *,
    turn_lives_s: float = TURN_LIVES_S,
) -> Iterator[Bench]:
    """A worker's engine over what the others of the same database and namespace left there."""
    settings = Settings.model_validate(
        {
            "providers": {
                "playhq": {
                    "base_url": str(http.base_url),
                    "api_key": "key-1234",
                    "requests_per_s": 2000,
                    "concurrency": 8,
                }
            },
            "http": {"retry_base_s": 0.001, "retry_cap_s": 0.01, "max_throttle_wait_s": 0.05},
        }
    )
    stores = open_stores(engine, clock)
    announced: list[Run] = []
    outbound = Outbound(
        ledgers=RedisLedgers(client, namespace),
        answers=RedisAnswers(client, namespace, turn_lives_s=turn_lives_s),
        breakers=RedisBreakers(client, namespace, open_for_s=0.05),
    )
    sync_run = SyncRun(
        sources=InstalledSources(load_plugins(), outbound, settings),
        cms=open_cms(CmsContext(settings=CmsSettings(), stores=stores, clock=clock)),
        leases=RedisLeases(client, namespace, lease_s=30),
        runs=stores.runs,
        sizes=stores.sizes,
        checkpoints=Checkpoints(client, namespace),
        clock=clock,
        stop=FakeStopSignal(),
        progress=Progress(client, namespace),
        map_concurrently=InThreads(4),
        asked_ahead=4,
        announce=announced.append,
        let_next=lambda _: None,
        rules=Rules(removal_confirmations=2, code="this code"),
        seals=RedisSeals(client, namespace),
    )
    yield Bench(sync_run, stores, http, clock, engine, settings, outbound, announced)
    outbound.close()


@pytest.fixture
def simulator() -> Simulator:
    return Simulator(World(plan_world("demo", None, None), seed=7, today=TODAY))


@pytest.fixture
def bench(
    simulator: Simulator, sqlite_engine: Engine, redis_client: redis.Redis, namespace: str
) -> Iterator[Bench]:
    clock = FakeClock(datetime.combine(TODAY, time(2), UTC))
    with (
        running(simulator) as address,
        httpx.Client(base_url=address, timeout=30) as http,
        open_bench(http, sqlite_engine, redis_client, namespace, clock) as bench,
    ):
        yield bench


@pytest.fixture
def shared_bench(bench: Bench, redis_client: redis.Redis, namespace: str) -> Bench:
    """A bench whose runs share their grades out; half of them are done by another worker at once."""
    gathers = RedisGathers(redis_client, namespace, claim_s=30)
    alone = bench.sync_run

    def share_out(tasks: Any) -> None:
        for task in tasks[::2]:
            bench.sync_run.perform_grade(task)

    bench.sync_run = replace(alone, fan_out=FanOut(gathers=gathers, share_out=share_out, min_grades=2))
    return bench
