"""What the rest of a scheduler is built on: settings, Redis, its clock, SQL, and a way to send."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import redis
from sqlalchemy import Engine

from brokers.chain import open_sender
from brokers.clients import open_client
from brokers.publisher import Publisher
from brokers.redis import PriorityRedisBroker
from brokers.tracing import trace
from settings.live import ProcessRole
from settings.reload import Reloader
from settings.schema import Settings
from stores.redis.clock import RedisClock
from stores.redis.registry import Service, describe_process
from stores.redis.versions import open_reloader, when_redis_answers
from stores.sql.engine import open_engine
from stores.sql.stores import SqlStores, open_stores


@dataclass(frozen=True, slots=True, kw_only=True)
class Foundation:
    """`settings` are those at the start; `in_force` answers the ones that hold now."""

    settings: Settings
    client: redis.Redis
    clock: RedisClock
    process: Service
    reloader: Reloader
    engine: Engine
    stores: SqlStores
    broker: PriorityRedisBroker
    publisher: Publisher

    @property
    def namespace(self) -> str:
        return self.settings.redis.namespace

    def in_force(self) -> Settings:
        return self.reloader.in_force.loaded.settings

    def close(self) -> None:
        self.broker.close()
        self.client.close()
        self.engine.dispose()


def lay_foundation(settings: Settings, redis_url: str, stopping: threading.Event) -> Foundation | None:
    """Waits until Redis answers; None when the process is stopped meanwhile."""
    client = open_client(redis_url, max_connections=settings.redis.max_connections)
    # The time that all processes share: this machine's clock may be set at any moment.
    clock = RedisClock(client, monotonic_s)
    process = describe_process("scheduler", clock)
    namespace = settings.redis.namespace
    reloader = when_redis_answers(
        lambda: open_reloader(client, namespace, ProcessRole.SCHEDULER, process.id, clock.now), stopping
    )
    if reloader is None:
        return None
    clock.read()
    settings = reloader.in_force.loaded.settings
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    stores = open_stores(engine, clock)
    broker = open_sender(redis_url, namespace=namespace, audit_log=stores.audit)
    trace(broker, "scheduler", is_on=settings.tracing.is_on)
    return Foundation(
        settings=settings,
        client=client,
        clock=clock,
        process=process,
        reloader=reloader,
        engine=engine,
        stores=stores,
        broker=broker,
        publisher=Publisher(
            broker,
            runs=stores.runs,
            presets=lambda: reloader.in_force.loaded.settings.presets,
            clock=clock,
        ),
    )


def monotonic_s() -> float:
    """Seconds that go on while the machine sleeps, where the system counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
