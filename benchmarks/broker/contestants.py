"""Who is measured: stock dramatiq, on threads and on gevent, and ours, each by its own command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.middleware import default_middleware

from brokers.chain import WorkerParts, open_worker
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.middleware.error_aware_retries import ErrorAwareRetries
from brokers.redis import PriorityRedisBroker

QUEUES = ("default", "other")

Kind = Literal["stock", "ours", "chain"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """A broker and the command that runs its workers. `chain` is ours with our whole middleware."""

    kind: Kind
    label: str
    command: Literal["dramatiq", "dramatiq-gevent"]


STOCK = Contestant("stock", "stock, gevent", "dramatiq-gevent")
STOCK_THREADS = Contestant("stock", "stock, threads", "dramatiq")
OURS = Contestant("ours", "ours, gevent", "dramatiq-gevent")
OURS_THREADS = Contestant("ours", "ours, threads", "dramatiq")
CHAIN = Contestant("chain", "ours with our middleware", "dramatiq-gevent")


def open_broker(kind: Kind, url: str, namespace: str) -> dramatiq.Broker:
    """Both with dramatiq's default middleware, so that only the broker differs."""
    broker: dramatiq.Broker
    if kind == "stock":
        broker = RedisBroker(url=url, namespace=namespace)
    elif kind == "ours":
        broker = PriorityRedisBroker(
            url=url, namespace=namespace, middleware=[make() for make in default_middleware]
        )
    else:
        broker = open_worker(
            url, WorkerParts(retries=ErrorAwareRetries(), drain=DrainOnSigterm()), namespace=namespace
        )
    for queue in QUEUES:
        broker.declare_queue(queue)
    return broker


def count_unfinished(client: redis.Redis, contestant: Contestant, namespace: str) -> int:
    """Messages not yet acknowledged, as Redis holds them."""
    if contestant.kind == "stock":
        keys = [f"{namespace}:{queue}{delayed}.msgs" for queue in QUEUES for delayed in ("", ".DQ")]
    else:
        keys = [f"{{{namespace}}}:values"]
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.hlen(key)
    return sum(pipeline.execute())


def message(
    actor: str, *, queue: str = "default", options: dict[str, Any] | None = None, **fields: Any
) -> Any:
    """A message of some 200 bytes of JSON, built as an actor's `message` does."""
    return dramatiq.Message(
        queue_name=queue,
        actor_name=actor,
        args=(),
        kwargs={"account_id": 42, "preset": "full", "note": "x" * 60, **fields},
        options=dict(options or {}),
    )
