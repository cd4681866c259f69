from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest

from brokers.chain import WorkerParts, open_worker
from brokers.dead_letters import DeadLetters
from brokers.middleware.drain_on_sigterm import DrainOnSigterm
from brokers.middleware.error_aware_retries import ErrorAwareRetries, RetryRules
from brokers.redis import PriorityRedisBroker
from sync.errors import ProviderUnavailable
from tests.conftest import Eventually
from tests.integration.messaging.waiting import list_waiting


@pytest.fixture
def broker(redis_url: str, namespace: str) -> Iterator[PriorityRedisBroker]:
    rules = RetryRules(max_retries=1, min_backoff_s=0.01, max_backoff_s=0.01)
    broker = open_worker(
        redis_url, WorkerParts(retries=ErrorAwareRetries(rules), drain=DrainOnSigterm()), namespace=namespace
    )
    yield broker
    broker.close()


@pytest.fixture
def actor(broker: PriorityRedisBroker) -> dramatiq.Actor[..., Any]:
    @dramatiq.actor(broker=broker, actor_name="fetch")
    def fetch(number: int) -> None:
        raise ProviderUnavailable(f"no answer {number}")

    return fetch


def test_dead_letter_tells_every_attempt_and_a_retry_forgets_them(
    broker: PriorityRedisBroker, actor: dramatiq.Actor[..., Any], eventually: Eventually
) -> None:
    sent = actor.send_with_options(kwargs={"number": 7}, due_at_ms=1)
    letters = DeadLetters(broker)
    worker = dramatiq.Worker(broker, worker_threads=1)
    worker.start()
    eventually(lambda: list(letters.latest("default")))
    worker.stop()
    [letter] = letters.latest("default")
    assert letter.reason["dead_reason"] == "gave up after 2 attempts: ProviderUnavailable: no answer 7"
    assert [attempt["text"] for attempt in letter.reason["attempts"]] == ["no answer 7", "no answer 7"]
    assert letters.retry([letter]) == 1
    [message] = list_waiting(broker, "default")
    assert message.message_timestamp > sent.message_timestamp
    assert message.options.keys().isdisjoint({"retries", "attempts", "due_at_ms", "dead_reason"})
