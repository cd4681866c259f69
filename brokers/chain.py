"""The middleware of our brokers, in order, and a broker with it.

dramatiq calls "before" hooks from the first to the last and "after" hooks from the last to
the first. So an actor's time limit is lifted before anything else happens to its message,
then its fate is decided, then it is counted, and its logging context ends last.
"""

from __future__ import annotations

from dataclasses import dataclass

import redis
from dramatiq.middleware import (
    Callbacks,
    CurrentMessage,
    Middleware,
    Pipelines,
    TimeLimit,
)
from dramatiq.results import Results

from brokers.clients import open_client
from brokers.middleware.audit import Audit, AuditLog
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.middleware.error_aware_retries import ErrorAwareRetries
from brokers.middleware.metrics import Metrics
from brokers.middleware.result_reuse import FreshMs, OnReused, ResultReuse, never_fresh
from brokers.middleware.run_context import RunContext
from brokers.middleware.tell_poisoned import TellPoisoned
from brokers.redis import PriorityRedisBroker
from brokers.results import ResultStore

MAX_CONNECTIONS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerParts:
    """What a worker gives to its chain; `drain` also tells its long actors to stop.

    `retries` decides on failed messages, by rules that may be replaced while it runs.
    `fresh_ms` says for how long an actor's result answers equal messages, where it is not its option.
    """

    retries: ErrorAwareRetries
    drain: DrainOnSigterm
    on_reused: OnReused | None = None
    fresh_ms: FreshMs = never_fresh


class ChainedBroker(PriorityRedisBroker):
    """A broker that owns its client and its metrics, and ends them when it is closed."""

    def __init__(
        self, client: redis.Redis, namespace: str, metrics: Metrics, chain: list[Middleware]
    ) -> None:
        super().__init__(client=client, namespace=namespace, middleware=chain)
        self._metrics = metrics

    def close(self) -> None:
        super().close()
        self._metrics.stop()
        self.client.close()


def open_sender(
    url: str,
    *,
    namespace: str,
    audit_log: AuditLog | None = None,
    max_connections: int = MAX_CONNECTIONS,
) -> PriorityRedisBroker:
    """A broker for processes that send and look; it carries out nothing."""
    client = open_client(url, max_connections=max_connections)
    metrics = Metrics(client, namespace=namespace)
    return ChainedBroker(client, namespace, metrics, [metrics, Audit(audit_log)] if audit_log else [metrics])


def open_worker(
    url: str, parts: WorkerParts, *, namespace: str, max_connections: int = MAX_CONNECTIONS
) -> PriorityRedisBroker:
    """A broker for a worker, with the whole chain."""
    client = open_client(url, max_connections=max_connections)
    metrics = Metrics(client, namespace=namespace)
    results = ResultStore(client, namespace=namespace)
    chain: list[Middleware] = [
        RunContext(),
        metrics,
        parts.drain,
        Callbacks(),
        Pipelines(),
        CurrentMessage(),
        ResultReuse(client, results, namespace=namespace, on_reused=parts.on_reused, fresh_ms=parts.fresh_ms),
        Results(backend=results),
        parts.retries,
        TimeLimit(),
    ]
    if on_dead := parts.retries.on_dead:
        chain.append(TellPoisoned(client, namespace=namespace, on_dead=on_dead))
    return ChainedBroker(client, namespace, metrics, chain)
