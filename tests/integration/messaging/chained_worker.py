"""A worker with the whole chain, run by dramatiq's command line: `dramatiq-gevent tests....chained_worker`.

Comes by environment: TEST_REDIS_URL, TEST_NAMESPACE, TEST_MAY_END. Its actors write what they do into
lists of the namespace.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import dramatiq
import redis

from brokers.chain import WorkerParts, open_worker
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.middleware.error_aware_retries import ErrorAwareRetries, RetryRules
from sync.errors import NotFound, ProviderUnavailable, RateLimited

URL = os.environ["TEST_REDIS_URL"]
NAMESPACE = os.environ["TEST_NAMESPACE"]
MAY_END = Path(os.environ["TEST_MAY_END"])

RULES = RetryRules(max_retries=2, min_backoff_s=0.05, max_backoff_s=0.1, max_deferral_s=60.0)

drain = DrainOnSigterm()
notes = redis.Redis.from_url(URL)
broker = open_worker(
    URL,
    WorkerParts(
        retries=ErrorAwareRetries(RULES, on_dead=lambda message, error: note("dead", message.message_id)),
        drain=drain,
    ),
    namespace=NAMESPACE,
)
dramatiq.set_broker(broker)


def note(name: str, value: str) -> None:
    notes.rpush(f"{NAMESPACE}-{name}", value)


@dramatiq.actor(broker=broker)
def hold(number: int) -> None:
    """Work until there is a file that lets it end, whatever else happens."""
    note("started", str(number))
    while not MAY_END.exists():
        time.sleep(0.02)
    note("done", str(number))


@dramatiq.actor(broker=broker)
def page_through(number: int) -> None:
    """Long work that can be handed over between its pages, as a sync's is, until it may end."""
    note("started", str(number))
    while not MAY_END.exists():
        drain.raise_if_stopping()
        time.sleep(0.05)
    note("done", str(number))


@dramatiq.actor(broker=broker)
def kill_worker() -> None:
    note("started", "deadly")
    os.kill(os.getpid(), signal.SIGKILL)


@dramatiq.actor(broker=broker)
def fail(kind: str) -> None:
    note("tried", kind)
    raise {
        "transient": ProviderUnavailable("no answer"),
        "deferred": RateLimited("429", retry_after_s=0.05),
        "permanent": NotFound("no such club"),
        "bug": ZeroDivisionError("by zero"),
    }[kind]
