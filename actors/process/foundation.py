"""What the rest of a worker is built on: settings, Redis and SQL."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import redis

from actors.process.settings_reload import look_on_sighup
from actors.process.start_up import StartUp
from brokers.clients import open_client
from settings import logs
from settings.live import ProcessRole
from settings.loader import load
from settings.reload import Reloader
from settings.schema import Settings
from stores.redis.gathers import RedisGathers
from stores.redis.leases import RedisLeases
from stores.redis.registry import Service, describe_process
from stores.redis.versions import open_reloader, when_redis_answers
from stores.sql.engine import open_engine
from stores.sql.outbox import SqlOutbox
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """`settings` are those at the start; `in_force` are the ones that hold now."""

    settings: Settings
    redis_url: str
    client: redis.Redis
    stores: SqlStores
    clock: SystemClock
    process: Service
    reloader: Reloader
    start_up: StartUp
    leases: RedisLeases
    gathers: RedisGathers

    @property
    def in_force(self) -> Settings:
        return self.reloader.in_force.loaded.settings

    @property
    def outbox(self) -> SqlOutbox:
        """What waits for a CMS that is away."""
        max_records = self.settings.cms.outbox_max_records
        return SqlOutbox(self.stores.engine, self.clock, max_records=max_records)

    @property
    def namespace(self) -> str:
        return self.settings.redis.namespace


def lay_foundation() -> Foundation:
    """Waits until Redis answers. Raises ConfigurationError."""
    settings = load().settings
    logs.set_up(settings)
    if settings.redis.url is None:
        raise ConfigurationError("a worker needs REDIS_URL; clubsync worker and clubsync up give it one")
    redis_url = settings.redis.url.get_secret_value()
    clock = SystemClock()
    client = open_client(redis_url, max_connections=settings.redis.max_connections)
    process = describe_process("worker", clock)
    reloader = when_redis_answers(
        lambda: open_reloader(client, settings.redis.namespace, ProcessRole.WORKER, process.id, clock.now),
        threading.Event(),
    )
    assert reloader is not None  # noqa: S101  nothing stops the waiting but Redis
    look_on_sighup(reloader)
    settings = reloader.in_force.loaded.settings
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    namespace = settings.redis.namespace
    return Foundation(
        settings=settings,
        redis_url=redis_url,
        client=client,
        stores=open_stores(engine, clock),
        clock=clock,
        process=process,
        reloader=reloader,
        start_up=StartUp(),
        leases=RedisLeases(client, namespace, lease_s=settings.sync.lease_s),
        gathers=RedisGathers(client, namespace, claim_s=settings.sync.lease_s),
    )
