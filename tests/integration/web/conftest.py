"""The real application over loopback: SQLite, Redis, and a publisher that keeps what it is given."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx
import pytest
import redis
import uvicorn
from fastapi import FastAPI

from brokers.messages import AccountSync, OrganisationSync, Request
from brokers.metrics import read_metrics
from settings.loader import load
from stores.redis.batches import Batches
from stores.redis.idempotency import Answers
from stores.redis.progress import Progress
from stores.redis.registry import Registry
from stores.redis.schedule import Schedule
from stores.sql.accounts import NewAccount
from stores.sql.engine import open_engine
from stores.sql.migrate import upgrade
from stores.sql.runs import Runs
from stores.sql.stores import SqlStores, open_stores
from stores.sql.tokens import Role, Tokens
from sync.clock import SystemClock
from sync.errors import StoreUnavailable
from sync.model import OrganisationKind
from sync.report import Run, RunState
from tests.conftest import Eventually
from web.app import create_app
from web.health import Check, Finding
from web.server import bind
from web.services import Services

CLUB_ID = "8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10"
ASSOCIATION_ID = "0a4c3a0e-31a4-4a39-8a4c-9a4f6dd2b111"


@dataclass(frozen=True)
class Sent:
    message_id: str
    run_id: str | None
    is_coalesced: bool


@dataclass
class RecordingPublisher:
    """Inserts the queued run as the real one does; one waiting sync per account."""

    runs: Runs
    requests: list[Request] = field(default_factory=list)
    receipts: dict[str, Sent] = field(default_factory=dict)

    def send(self, request: Request, *, requested_by: str | None = None) -> Sent:
        message = request.message
        key = message.unique_key or uuid.uuid4().hex
        if key in self.receipts:
            earlier = self.receipts[key]
            return Sent(earlier.message_id, earlier.run_id, is_coalesced=True)
        self.requests.append(request)
        sent = Sent(uuid.uuid4().hex, uuid.uuid4().hex, is_coalesced=False)
        self.receipts[key] = sent
        assert isinstance(message, AccountSync | OrganisationSync)
        assert sent.run_id
        self.runs.request(
            Run(
                id=sent.run_id,
                mode=message.mode,
                preset=message.preset,
                state=RunState.QUEUED,
                requested_at=datetime.now(UTC),
                account_id=message.account_id if isinstance(message, AccountSync) else None,
                organisation_id=message.organisation_id if isinstance(message, OrganisationSync) else None,
                dry_run=message.dry_run,
            )
        )
        return sent


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
    publisher: RecordingPublisher
    progress: Progress
    redis: Dependency
    server: uvicorn.Server
    thread: threading.Thread

    def secret(self, role: Role) -> str:
        return self.tokens.issue(f"{role.value}-{uuid.uuid4().hex[:6]}", role)[1]

    def client(self, role: Role | None = None) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.secret(role)}"} if role else {}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=10)


@pytest.fixture
def site(tmp_path: Path, redis_client: redis.Redis, namespace: str, eventually: Eventually) -> Iterator[Site]:
    engine = open_engine(f"sqlite:///{tmp_path}/clubsync.db", busy_timeout_s=5)
    upgrade(engine)
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
    publisher = RecordingPublisher(stores.runs)
    progress = Progress(redis_client, namespace)
    redis_dependency = Dependency()
    loaded = load({})
    services = Services(
        loaded=lambda: loaded,
        providers=("playhq",),
        tokens=Tokens(engine),
        find_account=stores.accounts.find,
        stores=stores,
        progress=progress,
        publisher=publisher,
        answers=Answers(redis_client, namespace),
        clock=SystemClock(),
        registry=Registry(redis_client, namespace, SystemClock()),
        batches=Batches(redis_client, namespace),
        schedule=Schedule(redis_client, namespace),
        read_metrics=partial(read_metrics, redis_client, namespace=namespace),
        checks=(
            Check(name="redis", ask=redis_dependency.ask, is_required=True),
            Check(name="disk", ask=lambda: Finding(value=12.5, unit="GB")),
        ),
        stopping=asyncio.Event(),
    )
    app = create_app(services)
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, proxy_headers=False, timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    eventually(lambda: server.started)
    yield Site(
        base_url=f"http://127.0.0.1:{listener.getsockname()[1]}",
        app=app,
        services=services,
        stores=stores,
        tokens=Tokens(engine),
        publisher=publisher,
        progress=progress,
        redis=redis_dependency,
        server=server,
        thread=thread,
    )
    services.stopping.set()
    server.should_exit = True
    thread.join(10)
    engine.dispose()


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    """Without a token, from this machine."""
    with site.client() as client:
        yield client
