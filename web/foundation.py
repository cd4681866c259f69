"""What the rest of the web process is built on: settings, SQL, Redis, the CMS, a way to send."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from sqlalchemy import Engine

from brokers.chain import open_sender
from brokers.clients import open_client
from brokers.redis import PriorityRedisBroker
from brokers.tracing import trace
from cms.registry import CmsContext, open_cms
from settings import logs
from settings.live import ProcessRole
from settings.loader import Loaded
from settings.reload import Reloader
from settings.schema import Settings
from stores.redis.registry import Service, describe_process
from stores.redis.versions import open_reloader
from stores.sql.engine import open_engine
from stores.sql.gathered import Gathered
from stores.sql.migrate import upgrade
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.ports import Cms
from web.following import Following


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """`settings` are those at the start; `following` knows the ones in force.

    What is written through `gathered` may be written together, at the end of a request.
    """

    settings: Settings
    following: Following
    clock: SystemClock
    engine: Engine
    stores: SqlStores
    gathered: Gathered
    client: redis.Redis
    broker: PriorityRedisBroker
    cms: Cms
    process: Service

    @property
    def namespace(self) -> str:
        return self.settings.redis.namespace

    def close(self) -> None:
        self.broker.close()
        self.broker.client.close()
        self.client.close()
        self.engine.dispose()


def lay_foundation(loaded: Loaded, redis_url: str) -> Foundation:
    """Connects to nothing but an SQLite file of its own, which is brought up to date."""
    settings, clock = loaded.settings, SystemClock()
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    if settings.database.url is None:
        upgrade(engine)
    stores, gathered = open_stores(engine, clock), Gathered(engine, clock)
    client = open_client(redis_url, max_connections=settings.redis.max_connections)
    namespace = settings.redis.namespace
    broker = open_sender(redis_url, namespace=namespace, audit_log=gathered.audit)
    trace(broker, "web", is_on=settings.tracing.is_on)
    process = describe_process("web", clock)

    def open_followed() -> Reloader:
        reloader = open_reloader(client, namespace, ProcessRole.WEB, process.id, clock.now)
        reloader.subscribe("logging", apply=logs.set_up)
        return reloader

    return Foundation(
        settings=settings,
        following=Following(loaded, open_followed),
        clock=clock,
        engine=engine,
        stores=stores,
        gathered=gathered,
        client=client,
        broker=broker,
        cms=open_cms(CmsContext(settings=settings.cms, stores=stores, clock=clock)),
        process=process,
    )
