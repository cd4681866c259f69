"""The real application over loopback: SQLite, Redis, the broker; no worker, so that messages wait."""

from __future__ import annotations

import asyncio
import signal
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import httpx
import pytest
import redis
import uvicorn
from fastapi import FastAPI
from sqlalchemy import Engine

from brokers.chain import open_sender
from brokers.dead_index import DeadIndex
from brokers.dead_letters import DeadLetters
from brokers.latency import read_latency
from brokers.mass_retry import MassRetries
from brokers.metrics import read_metrics
from brokers.operations import Operations
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from brokers.removal import Removal
from brokers.whereabouts import find_message
from cms.embedded.adapter import EmbeddedCms
from settings.live import ProcessRole
from settings.reload import Reloader
from stores.redis.batches import Batches
from stores.redis.gates import Gates
from stores.redis.idempotency import Answers
from stores.redis.leases import RedisLeases
from stores.redis.progress import Progress
from stores.redis.registry import Registry
from stores.redis.request_limits import RequestLimits
from stores.redis.run_totals import RunTotals
from stores.redis.schedule import Schedule
from stores.redis.trends import Trends
from stores.redis.versions import RedisVersions, open_history, open_reloader
from stores.sql.accounts import NewAccount
from stores.sql.gathered import Gathered
from stores.sql.stores import SqlStores, open_stores
from stores.sql.tokens import Role, Tokens
from sync.clock import SystemClock
from sync.errors import ProviderUnavailable, StoreUnavailable
from sync.model import OrganisationKind
from tests.conftest import Eventually
from web.api.mass_retries import note_end
from web.app import create_app
from web.health import Check, Finding
from web.server import Server, bind
from web.services import Services

CLUB_ID = "8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10"
ASSOCIATION_ID = "0a4c3a0e-31a4-4a39-8a4c-9a4f6dd2b111"


@dataclass
class Dependency:
    """Something that a test can take away."""

    is_there: bool = True

    def ask(self) -> Finding:
        if not self.is_there:
            raise StoreUnavailable("it did not answer")
        return Finding()


@dataclass
class Site:
    """A served application and what is behind it."""

    base_url: str
    app: FastAPI
    services: Services
    stores: SqlStores
    tokens: Tokens
    broker: PriorityRedisBroker
    operations: Operations
    progress: Progress
    redis: Dependency
    reloader: Reloader
    server: Server
    thread: threading.Thread

    def kill(self, queue: str) -> str:
        """Let the queue's next message die; its id."""
        consumer = self.broker.consume(queue, timeout=5000)
        try:
            message = next(consumer)
            assert message is not None
            message.stuff_exception(ProviderUnavailable("the provider answered 503"))
            consumer.nack(message)
            return str(message.message_id)
        finally:
            consumer.close()

    def stop(self) -> None:
        """Ask for an orderly end, as a signal does; the server's own thread carries it out."""
        self.server.should_exit = True

    def waiting(self) -> int:
        """Messages that wait, over all queues."""
        return sum(queue.depth for queue in self.operations.queues())

    def secret(self, role: Role) -> str:
        return self.tokens.issue(f"{role.value}-{uuid.uuid4().hex[:6]}", role)[1]

    def client(self, role: Role | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.secret(role)}"} if role else {}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=30)


@pytest.fixture
def engine(sqlite_engine: Engine) -> Engine:
    """SQLite only: what a database may change about the answers is tested where the stores are."""
    return sqlite_engine


@pytest.fixture
def site(
    engine: Engine, redis_url: str, redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> Iterator[Site]:
    stores = open_stores(engine, SystemClock())
    stores.accounts.add_many(
        [
            NewAccount(kind=OrganisationKind.CLUB, name="Rovers", provider="playhq", organisation_id=CLUB_ID),
            NewAccount(
                kind=OrganisationKind.ASSOCIATION,
                name="Northern League",
                provider="playhq",
                organisation_id=ASSOCIATION_ID,
            ),
        ]
    )
    gathered = Gathered(engine, SystemClock())
    broker = open_sender(redis_url, namespace=namespace, audit_log=gathered.audit)
    progress = Progress(redis_client, namespace)
    redis_dependency = Dependency()
    versions = RedisVersions(redis_client, namespace)
    reloader = open_reloader(redis_client, namespace, ProcessRole.WEB, "web:test", SystemClock().now)
    operations = Operations(broker)
    letters = DeadLetters(broker)
    dead = DeadIndex(letters)
    services = Services(
        loaded=lambda: reloader.in_force.loaded,
        config_number=lambda: reloader.in_force.number,
        versions=versions,
        history=open_history(versions, SystemClock().now),
        providers=("playhq",),
        tokens=Tokens(engine),
        cms=EmbeddedCms(stores),
        leases=RedisLeases(redis_client, namespace, lease_s=30),
        find_account=stores.accounts.find,
        find_kinds=stores.accounts.find_kinds,
        noted_together=gathered.gathering,
        stores=stores,
        progress=progress,
        publisher=Publisher(
            broker,
            runs=gathered.runs,
            presets=lambda: reloader.in_force.loaded.settings.presets,
            clock=SystemClock(),
        ),
        operations=operations,
        letters=letters,
        dead=dead,
        mass_retries=MassRetries(
            broker=broker, letters=letters, index=dead, on_end=partial(note_end, gathered.audit)
        ),
        removal=Removal(broker, runs=stores.runs, clock=SystemClock()),
        find_message=partial(find_message, broker),
        gates=Gates(redis_client, namespace),
        provider_hosts={"playhq": "provider.example"},
        answers=Answers(redis_client, namespace),
        request_limits=RequestLimits(redis_client, namespace),
        clock=SystemClock(),
        registry=Registry(redis_client, namespace, SystemClock()),
        trends=Trends(redis_client, namespace),
        batches=Batches(redis_client, namespace),
        schedule=Schedule(redis_client, namespace),
        read_latency=partial(read_latency, redis_client, namespace=namespace),
        read_metrics=partial(read_metrics, redis_client, namespace=namespace),
        read_run_totals=RunTotals(redis_client, namespace).read,
        checks=(
            Check(name="redis", ask=redis_dependency.ask, is_required=True),
            Check(name="disk", ask=lambda: Finding(value=12.5, unit="GB")),
        ),
        stopping=asyncio.Event(),
    )
    app = create_app(services)
    listener = bind("127.0.0.1", 0)
    server = Server(
        uvicorn.Config(app, log_config=None, proxy_headers=False, timeout_graceful_shutdown=20),
        services.stopping,
    )
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    eventually(lambda: server.started)
    site = Site(
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        app=app,
        services=services,
        stores=stores,
        tokens=Tokens(engine),
        broker=broker,
        operations=services.operations,
        progress=progress,
        redis=redis_dependency,
        reloader=reloader,
        server=server,
        thread=thread,
    )
    yield site
    site.stop()
    thread.join(30)
    broker.close()
    broker.client.close()


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """Without a token, from this machine."""
    with site.client() as client:
        yield client


@pytest.fixture
def outliving_stops() -> Iterator[None]:
    """A worker that is told to stop ends its process, and here that is the tests'."""
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGTERM, before)


# The stops are outlived until the site is closed, and with it the beats.
@pytest.fixture
def worker(outliving_stops: None, site: Site, eventually: Eventually) -> Iterator[str]:
    """The name of a process that takes messages, and beats."""
    consumer = site.broker.consume("health", timeout=10)
    assert next(consumer) is None
    eventually(site.operations.workers)
    yield site.operations.workers()[0].process
    consumer.close()
