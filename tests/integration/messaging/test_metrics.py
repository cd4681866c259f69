from __future__ import annotations

import pytest
import redis

from brokers.metrics import BOUNDS_S, Series, read_metrics
from brokers.middleware.error_aware_retries import ErrorAwareRetries, RetryRules
from brokers.middleware.metrics import Metrics
from sync.errors import NotFound, ProviderUnavailable, RateLimited
from tests.conftest import Eventually
from tests.unit.brokers.middleware.settling import RecordingBroker, declare, fail_with, proxy, settle

SERIES = Series("default", "work")


def broker_with(metrics: Metrics) -> RecordingBroker:
    return RecordingBroker([metrics, ErrorAwareRetries(RetryRules(max_retries=5))])


def test_everything_that_happens_to_messages_is_counted_per_queue_and_actor(
    redis_client: redis.Redis, namespace: str
) -> None:
    metrics = Metrics(redis_client, namespace=namespace, flush_every_s=60)
    broker = broker_with(metrics)
    message = proxy(declare(broker))
    broker.emit_after("enqueue", message, None)
    for error in (
        ProviderUnavailable("timeout"),
        RateLimited("429", retry_after_s=1),
        NotFound("no such club"),
    ):
        fail_with(broker, message, error)
        settle(broker, message)
        broker.emit_after("enqueue", message, 0)
    broker.emit_before("process_message", message)
    broker.emit_after("process_message", message, result=None)
    metrics.stop()
    totals = read_metrics(redis_client, namespace=namespace)[SERIES]
    assert totals.counts == {
        "sent": 1,
        "started": 4,
        "retried": 1,
        "deferred": 1,
        "failed": 1,
        "dead": 1,
        "done": 1,
    }
    assert (totals.wait.count, totals.run.count) == (1, 4)
    assert len(totals.run.counts) == len(BOUNDS_S) + 1


def test_processes_add_up(redis_client: redis.Redis, namespace: str) -> None:
    for _ in range(2):
        metrics = Metrics(redis_client, namespace=namespace, flush_every_s=60)
        broker = broker_with(metrics)
        broker.emit_after("enqueue", proxy(declare(broker)), None)
        metrics.stop()
    assert read_metrics(redis_client, namespace=namespace)[SERIES].counts == {"sent": 2}


def test_coalesced_message_is_not_counted_as_sent(redis_client: redis.Redis, namespace: str) -> None:
    metrics = Metrics(redis_client, namespace=namespace, flush_every_s=60)
    broker = broker_with(metrics)
    broker.emit_after("enqueue", proxy(declare(broker), coalesced_with={"message_id": "x"}), None)
    metrics.stop()
    assert read_metrics(redis_client, namespace=namespace) == {}


def test_metrics_are_flushed_without_being_asked(
    redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    metrics = Metrics(redis_client, namespace=namespace, flush_every_s=0.01)
    broker = broker_with(metrics)
    broker.emit_after("enqueue", proxy(declare(broker)), None)
    eventually(lambda: read_metrics(redis_client, namespace=namespace))
    metrics.stop()


def test_what_could_not_be_flushed_is_flushed_later(redis_client: redis.Redis, namespace: str) -> None:
    metrics = Metrics(redis_client, namespace=namespace, flush_every_s=60)
    broker = broker_with(metrics)
    broker.emit_after("enqueue", proxy(declare(broker)), None)
    redis_client.set(f"{{{namespace}}}:metrics", "not a hash")
    with pytest.raises(redis.ResponseError):
        metrics.flush()
    redis_client.delete(f"{{{namespace}}}:metrics")
    metrics.flush()
    metrics.stop()
    assert read_metrics(redis_client, namespace=namespace)[SERIES].counts == {"sent": 1}
