"""The worker that every contestant runs: `dramatiq-gevent benchmarks.broker.worker`.

What it should be comes by environment: BENCH_KIND, BENCH_URL, BENCH_NAMESPACE, and for the
HTTP jobs BENCH_HTTP and BENCH_POOL (shared, sharded).
"""

from __future__ import annotations

import logging
import os
import time
from functools import cache
from typing import Any, cast

import dramatiq
import httpx
import redis

from benchmarks.broker.contestants import Kind, open_broker
from providers.transport import ShardedTransport

URL = os.environ["BENCH_URL"]
NAMESPACE = os.environ["BENCH_NAMESPACE"]
CONCURRENCY = 200

broker = open_broker(cast("Kind", os.environ["BENCH_KIND"]), URL, NAMESPACE)
dramatiq.set_broker(broker)
logging.getLogger("httpx").setLevel(logging.WARNING)  # for all; it would write a line for each request
notes = redis.Redis(
    connection_pool=redis.BlockingConnectionPool.from_url(URL, max_connections=16, timeout=60)
)


@cache
def http() -> httpx.Client:
    if os.environ.get("BENCH_POOL") == "sharded":
        transport = ShardedTransport()
        return httpx.Client(transport=transport, trust_env=False, timeout=60)
    limits = httpx.Limits(max_connections=CONCURRENCY, max_keepalive_connections=CONCURRENCY)
    return httpx.Client(limits=limits, trust_env=False, timeout=60)


@dramatiq.actor(broker=broker, priority=5)
def nothing(**_: Any) -> None:
    """The cost of a message and of nothing else."""


@dramatiq.actor(broker=broker, priority=10)
def work(ms: float, **_: Any) -> None:
    time.sleep(ms / 1000)


@dramatiq.actor(broker=broker, priority=0)
def note_start(key: str, due_s: float, **_: Any) -> None:
    """Write down how long after `due_s` it started."""
    notes.rpush(f"{NAMESPACE}-{key}", time.time() - due_s)


@dramatiq.actor(broker=broker, priority=5)
def note_done(key: str, number: int, ms: float, **_: Any) -> None:
    time.sleep(ms / 1000)
    notes.sadd(f"{NAMESPACE}-{key}", number)


@dramatiq.actor(broker=broker, priority=5)
def get(**_: Any) -> None:
    http().get(os.environ["BENCH_HTTP"]).raise_for_status()
