from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dramatiq
import pytest
import redis
from dramatiq.brokers.stub import StubBroker
from dramatiq.results import Results

from brokers.middleware.result_reuse import ResultReuse
from brokers.results import ResultStore, Reused

WAIT_MS = 30_000


class Bench:
    """A stub broker with one worker thread and an actor that counts its runs."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self.results = ResultStore(client, namespace=namespace)
        self.reused: list[tuple[str, Reused]] = []
        self.fresh_ms = {"by_setting": 60_000}
        reuse = ResultReuse(
            client,
            self.results,
            namespace=namespace,
            on_reused=lambda message, reused: self.reused.append((message.message_id, reused)),
            fresh_ms=lambda name: self.fresh_ms.get(name, 0),
        )
        self.broker = StubBroker(middleware=[reuse, Results(backend=self.results)])
        self.runs = 0

        @dramatiq.actor(broker=self.broker, actor_name="count", store_results=True, result_fresh=60_000)
        def count(**fields: Any) -> int:
            self.runs += 1
            if fields.get("fails"):
                raise ValueError("asked to")
            return self.runs

        @dramatiq.actor(broker=self.broker, actor_name="by_setting", store_results=True)
        def by_setting(*, is_worth_keeping: bool) -> int | None:
            self.runs += 1
            return self.runs if is_worth_keeping else None

        @dramatiq.actor(broker=self.broker, actor_name="never", store_results=True)
        def never() -> int:
            self.runs += 1
            return self.runs

        self.actor = count
        self.by_setting = by_setting
        self.never = never
        self.worker = dramatiq.Worker(self.broker, worker_threads=1, worker_timeout=10)
        self.worker.start()

    def run(self, **fields: Any) -> dramatiq.Message[Any]:
        message = self.actor.send(**fields)
        self.broker.join("default", timeout=WAIT_MS)
        return message


@pytest.fixture
def bench(redis_client: redis.Redis, namespace: str) -> Iterator[Bench]:
    bench = Bench(redis_client, namespace)
    yield bench
    bench.worker.stop()


def test_equal_request_within_the_window_gets_the_stored_result_and_says_so(bench: Bench) -> None:
    first = bench.run(account_id=3, run_id="a", requested_at="2026-01-01T00:00:00Z")
    second = bench.run(account_id=3, run_id="b", requested_at="2026-01-01T00:00:09Z")
    assert bench.runs == 1
    assert second.get_result(backend=bench.results) == 1
    reused = bench.results.find_reused(second)
    assert reused is not None
    assert reused.message_id == first.message_id
    assert bench.results.find_reused(first) is None
    assert bench.reused == [(second.message_id, reused)]


@pytest.mark.parametrize(("is_worth_keeping", "runs"), [(True, 1), (False, 2)])
def test_a_setting_keeps_results_of_an_actor_that_are_worth_it(
    bench: Bench, *, is_worth_keeping: bool, runs: int
) -> None:
    for _ in range(2):
        bench.by_setting.send(is_worth_keeping=is_worth_keeping)
        bench.broker.join("default", timeout=WAIT_MS)
    assert bench.runs == runs


def test_a_window_may_change_while_messages_run(bench: Bench) -> None:
    bench.fresh_ms.clear()
    for has_window in (False, True, True):
        bench.fresh_ms["by_setting"] = 60_000 if has_window else 0
        bench.by_setting.send(is_worth_keeping=True)
        bench.broker.join("default", timeout=WAIT_MS)
    assert bench.runs == 2


def test_a_window_of_zero_reuses_nothing(bench: Bench) -> None:
    for _ in range(2):
        bench.never.send()
        bench.broker.join("default", timeout=WAIT_MS)
    assert bench.runs == 2


def test_different_request_runs(bench: Bench) -> None:
    bench.run(account_id=3, preset="full")
    other = bench.run(account_id=3, preset="quick")
    assert bench.runs == 2
    assert other.get_result(backend=bench.results) == 2


def test_failure_answers_nobody_else(bench: Bench) -> None:
    bench.run(account_id=3, fails=True)
    bench.run(account_id=3, fails=True)
    assert bench.runs == 2


def test_results_and_freshness_expire(bench: Bench, redis_client: redis.Redis, namespace: str) -> None:
    bench.run(account_id=3)
    keys = list(redis_client.scan_iter(f"*{namespace}*", count=1000))
    assert len(keys) == 2
    assert all(0 < redis_client.pttl(key) <= 600_000 for key in keys)
