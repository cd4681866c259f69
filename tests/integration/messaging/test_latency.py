from __future__ import annotations

import time

import pytest
import redis

from brokers.latency import COARSE, FINE, Grain, Latency, LatencyNotes, merged, read_latency
from brokers.middleware.metrics import Metrics
from tests.unit.brokers.middleware.settling import RecordingBroker, declare, proxy

NOON_S = 1_800_000_000


@pytest.fixture
def notes(namespace: str) -> LatencyNotes:
    return LatencyNotes(namespace)


def write(notes: LatencyNotes, client: redis.Redis) -> None:
    with client.pipeline() as pipeline:
        notes.put(pipeline)
        pipeline.execute()
    notes.forget()


def read(client: redis.Redis, namespace: str, grain: Grain, back_s: int) -> dict[int, Latency]:
    return read_latency(client, namespace=namespace, grain=grain, since_s=NOON_S - back_s, until_s=NOON_S)


def test_processes_add_up_by_the_minute_and_by_the_half_hour(
    notes: LatencyNotes, redis_client: redis.Redis, namespace: str
) -> None:
    for process in (notes, LatencyNotes(namespace)):
        process.note("wait", {2: 3}, NOON_S)
        process.note("wait", {4: 1}, NOON_S - 60)
        process.note("run", {5: 1}, NOON_S - 3600)
        write(process, redis_client)
    fine = read(redis_client, namespace, FINE, 24 * 3600)
    assert {at_s: (one.wait.count, one.run.count) for at_s, one in fine.items()} == {
        NOON_S: (6, 0),
        NOON_S - 60: (2, 0),
        NOON_S - 3600: (0, 2),
    }
    assert merged(fine.values()).wait.counts[:5] == [0, 0, 6, 0, 2]
    coarse = read(redis_client, namespace, COARSE, 30 * 24 * 3600)
    assert sorted(coarse) == [NOON_S - 3600, NOON_S - 1800, NOON_S]


def test_what_is_written_already_is_not_written_again(
    notes: LatencyNotes, redis_client: redis.Redis, namespace: str
) -> None:
    notes.note("run", {0: 1}, NOON_S)
    write(notes, redis_client)
    write(notes, redis_client)
    assert read(redis_client, namespace, FINE, 0)[NOON_S].run.count == 1


def test_what_is_too_old_is_left_out_and_expires(
    notes: LatencyNotes, redis_client: redis.Redis, namespace: str
) -> None:
    notes.note("wait", {0: 1}, NOON_S - 120)
    write(notes, redis_client)
    assert read(redis_client, namespace, FINE, 60) == {}
    for grain in (FINE, COARSE):
        left_s = redis_client.ttl(grain.key(namespace, NOON_S - 120))
        assert grain.kept_s <= left_s <= grain.kept_s + grain.hash_s


@pytest.mark.parametrize(("queue", "count"), [("syncs", 1), ("grades", 0), ("default", 0)])
def test_only_what_somebody_asked_for_is_kept(
    redis_client: redis.Redis, namespace: str, queue: str, count: int
) -> None:
    metrics = Metrics(redis_client, namespace=namespace, flush_every_s=60)
    broker = RecordingBroker([metrics])
    message = proxy(declare(broker, queue_name=queue))
    broker.emit_before("process_message", message)
    broker.emit_after("process_message", message, result=None)
    metrics.stop()
    now_s = time.time()
    found = read_latency(redis_client, namespace=namespace, grain=FINE, since_s=now_s - 60, until_s=now_s)
    whole = merged(found.values())
    assert (whole.wait.count, whole.run.count) == (count, count)
