"""Interrupts strike actors, not the broker's own work after them."""

from __future__ import annotations

import threading
import time
from typing import Any

import dramatiq
import pytest
from dramatiq.middleware import Middleware, TimeLimit

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from tests.integration.brokers.conftest import Working


def test_a_time_limit_never_strikes_a_hook_after_the_actor(
    redis_url: str, namespace: str, working: Working
) -> None:
    """It would kill the worker thread, and the retry that was being sent with it."""
    in_hook, hook_survived = threading.Event(), threading.Event()

    class Slow(Middleware):
        """Comes after TimeLimit in the list, so dramatiq runs its after-hook before TimeLimit's."""

        def after_process_message(self, broker: Any, message: Any, **kwargs: Any) -> None:
            in_hook.set()
            time.sleep(0.6)  # longer than the limit
            hook_survived.set()

    broker = PriorityRedisBroker(
        url=redis_url, namespace=namespace, middleware=[TimeLimit(time_limit=300, interval=20), Slow()]
    )
    broker.emit_after("process_boot")

    @dramatiq.actor(broker=broker)
    def quick() -> None:
        pass

    with working(on=broker, threads=1) as worker:
        quick.send()
        broker.join("default", timeout=30_000)
        assert in_hook.is_set()
        assert hook_survived.is_set()
        assert all(thread.is_alive() for thread in worker.workers)
    assert Operations(broker).ledger("default").done == 1
    broker.close()
    broker.client.close()


def test_a_middleware_error_before_enqueue_reaches_the_sender(
    broker: PriorityRedisBroker, operations: Operations
) -> None:
    class Refuse(Middleware):
        def before_enqueue(self, broker: Any, message: Any, delay: int | None) -> None:
            raise dramatiq.middleware.MiddlewareError("not allowed")

    @dramatiq.actor
    def note() -> None:
        pass

    broker.add_middleware(Refuse())
    with pytest.raises(dramatiq.middleware.MiddlewareError):
        note.send()
    with pytest.raises(dramatiq.middleware.MiddlewareError):
        broker.enqueue_many([note.message()])
    assert operations.queue("default").depth == 0


def test_a_batch_is_sent_together_or_not_at_all(broker: PriorityRedisBroker, operations: Operations) -> None:
    @dramatiq.actor
    def note(number: int) -> None:
        pass

    with broker.batch():
        dramatiq.group([note.message(number) for number in range(700)]).run()
        note.send(-1)
        assert operations.queue("default").depth == 0
    assert operations.queue("default").depth == 701

    def send_and_fail() -> None:
        with broker.batch():
            note.send(1)
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError):
        send_and_fail()
    assert operations.queue("default").depth == 701
