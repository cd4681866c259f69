"""A broker of the test's own on a real server, and workers that stop with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import dramatiq
import pytest

from brokers.dead_letters import DeadLetters
from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker

Working = Callable[..., AbstractContextManager[dramatiq.Worker]]


def declare(
    broker: PriorityRedisBroker, function: Callable[..., Any], *, actor_name: str = "note", **options: Any
) -> dramatiq.Actor[..., Any]:
    return dramatiq.actor(actor_name=actor_name, broker=broker, **options)(function)


@pytest.fixture
def broker(redis_url: str, namespace: str) -> Iterator[PriorityRedisBroker]:
    broker = PriorityRedisBroker(url=redis_url, namespace=namespace)
    dramatiq.set_broker(broker)
    yield broker
    broker.close()
    broker.client.close()


@pytest.fixture
def operations(broker: PriorityRedisBroker) -> Operations:
    return Operations(broker)


@pytest.fixture
def letters(broker: PriorityRedisBroker) -> DeadLetters:
    return DeadLetters(broker)


@pytest.fixture
def working(broker: PriorityRedisBroker) -> Working:
    """`with working(threads=2): ...` runs a worker for the queues declared."""

    @contextmanager
    def run(*, threads: int = 4, on: PriorityRedisBroker | None = None) -> Iterator[dramatiq.Worker]:
        worker = dramatiq.Worker(on or broker, worker_timeout=100, worker_threads=threads)
        worker.start()
        try:
            yield worker
        finally:
            worker.stop(timeout=30_000)

    return run
