"""Every provider into every CMS: the second sync of unchanged data writes nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

import httpx
import pytest
import redis
from sqlalchemy import Engine

from cms.registry import CmsContext, behind_outbox, open_cms
from cms.strapi.adapter import StrapiCms
from providers.outbound import Outbound
from providers.registry import InstalledSources, load_plugins
from settings.schema import Settings
from simulator.app import Simulator
from simulator.play_cricket.face import PREFIX
from simulator.running import running
from simulator.world.sizes import plan_world
from simulator.world.world import World
from stores.redis.answers import RedisAnswers
from stores.redis.breakers import RedisBreakers
from stores.redis.checkpoints import Checkpoints
from stores.redis.leases import RedisLeases
from stores.redis.progress import Progress
from stores.redis.quotas import RedisLedgers
from stores.sql.outbox import SqlOutbox
from stores.sql.stores import open_stores
from sync.concurrency import InThreads
from sync.report import Mode, Outcome, Run
from sync.request import SyncRequest
from sync.run import SyncRun
from tests.fakes import FakeClock, FakeStopSignal

# Play-Cricket's seasons are asked for by the year that it is.
TODAY = datetime.now(UTC).date()
CMS_PATHS = {"embedded": None, "strapi_v4": "/strapi-v4/api/", "strapi_v5": "/strapi-v5/api/"}
PAIRS = [
    *((provider, name, False) for provider in ("playhq", "playcricket") for name in CMS_PATHS),
    # Football, whose games come from the older version of the API.
    ("playhq_football", "embedded", False),
    # With draft and publish.
    ("playhq", "strapi_v4", True),
    ("playhq", "strapi_v5", True),
]


@dataclass
class Pair:
    """Direct syncs of one provider's smallest league into one CMS."""

    sync_run: SyncRun
    http: httpx.Client
    clock: FakeClock
    provider: str
    organisation_id: str
    cms_path: str | None

    def sync(self) -> Run:
        self.clock.at += timedelta(seconds=1)
        return self.sync_run.perform(
            SyncRequest(
                run_id=uuid.uuid4().hex,
                mode=Mode.ASSOCIATION_DIRECT,
                requested_at=self.clock.now(),
                organisation_id=self.organisation_id,
                provider=self.provider,
                fresh_after=datetime.now(UTC),
            )
        )

    def last_write(self) -> str:
        """When the CMS was last written to, whatever it wrote."""
        if self.cms_path is None:
            return ""
        moments = []
        for name in ("competitions", "grades", "teams", "game-meta-datas", "club-to-competitions"):
            query = "sort[0]=updatedAt:desc&pagination[pageSize]=1"
            answer = self.http.get(f"{self.cms_path}{name}?{query}", headers={"authorization": "Bearer t"})
            moments += [entry.get("attributes", entry)["updatedAt"] for entry in answer.json()["data"]]
        return str(max(moments))


@pytest.fixture(params=PAIRS, ids=str)
def pair(
    request: pytest.FixtureRequest, sqlite_engine: Engine, redis_client: redis.Redis, namespace: str
) -> Iterator[Pair]:
    source, cms_name, has_drafts = request.param
    provider, _, sport = source.partition("_")
    path = CMS_PATHS[cms_name]
    tenant = "afl" if sport else "ca"
    simulator = Simulator(World(plan_world("demo", None, None), seed=7, today=TODAY))
    with running(simulator) as address, httpx.Client(base_url=address, timeout=30) as http:
        if has_drafts:
            anew = {"version": int(cms_name[-1]), "drafts": True}
            http.post("/_simulator/strapi", json=anew).raise_for_status()
        fast = {"requests_per_s": 2000, "concurrency": 8}
        settings = Settings.model_validate(
            {
                "providers": {
                    "playhq": {"base_url": address, "api_key": "key-1234", "tenant": tenant, **fast},
                    "playcricket": {
                        "base_url": f"{address}{PREFIX.rstrip('/')}",
                        "api_token": "token-1234",
                        "requests_per_s": 2000,
                    },
                },
                "cms": {
                    "kind": "embedded" if path is None else "strapi",
                    "strapi": {"base_url": f"{address}{path or '/'}", "token": "t"},
                },
            }
        )
        clock = FakeClock(datetime.combine(TODAY, time(2), UTC))
        stores = open_stores(sqlite_engine, clock)
        outbound = Outbound(
            ledgers=RedisLedgers(redis_client, namespace),
            answers=RedisAnswers(redis_client, namespace),
            breakers=RedisBreakers(redis_client, namespace),
        )
        context = CmsContext(settings=settings.cms, stores=stores, clock=clock)
        cms = open_cms(context)
        outbox = SqlOutbox(sqlite_engine, clock, max_records=1000)
        sync_run = SyncRun(
            sources=InstalledSources(load_plugins(), outbound, settings),
            cms=behind_outbox(cms, context, outbox),
            leases=RedisLeases(redis_client, namespace, lease_s=30),
            runs=stores.runs,
            sizes=stores.sizes,
            checkpoints=Checkpoints(redis_client, namespace),
            clock=clock,
            stop=FakeStopSignal(),
            progress=Progress(redis_client, namespace),
            map_concurrently=InThreads(4),
            announce=lambda _: None,
            let_next=lambda _: None,
        )
        yield Pair(sync_run, http, clock, provider, smallest_league(http, provider, tenant), path)
        outbound.close()
        if isinstance(cms, StrapiCms):
            cms.close()


def smallest_league(http: httpx.Client, provider: str, tenant: str) -> str:
    """The last of the simulator's associations is a small one."""
    query = {"provider": provider} if provider == "playcricket" else {"tenant": tenant}
    found = http.get("/_simulator/accounts", params=query).json()
    leagues = [one["organisation"] for one in found if one["type"] == "association"]
    return str(leagues[-1])


def test_second_sync_of_unchanged_data_writes_nothing(pair: Pair) -> None:
    first = pair.sync()
    written_at = pair.last_write()
    second = pair.sync()

    assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED), first.message
    created = {stage.value: report.created for stage, report in first.stages.items()}
    assert min(created["competitions"], created["teams"], created["games"]) > 0
    assert [
        (stage.value, report.created, report.updated, report.removed)
        for stage, report in second.stages.items()
        if report.created or report.updated or report.removed
    ] == []
    assert pair.last_write() == written_at
