from __future__ import annotations

import re

import httpx
import pytest
import redis

from brokers.latency import LatencyNotes
from stores.redis.registry import Registry, describe_process
from sync.clock import SystemClock
from tests.integration.web.conftest import Site
from web.recording import Recorder


@pytest.fixture
def clock_s() -> list[float]:
    return [SystemClock().now().timestamp()]


@pytest.fixture
def recorder(site: Site, clock_s: list[float]) -> Recorder:
    registry: Registry = site.services.registry
    registry.beat(describe_process("web", SystemClock()))
    return Recorder(site.operations, site.services.trends, registry, lambda: clock_s[0])


def test_what_happened_before_it_was_recorded_is_made_up_for(
    client: httpx.Client, site: Site, recorder: Recorder, clock_s: list[float]
) -> None:
    client.post("/api/v1/syncs", json={"mode": "club", "id": 1})
    clock_s[0] += 60
    recorder.record()
    recorder.record()
    assert sum(point.waiting for _, point in site.services.trends.fine()[-1:]) == 1
    assert len(site.services.trends.fine()) == 60


@pytest.mark.parametrize(("span", "count"), [("hour", 60), ("day", 1440), ("month", 1440)])
def test_a_span_has_equal_columns_and_its_marks(
    client: httpx.Client, recorder: Recorder, span: str, count: int
) -> None:
    recorder.record()
    series = client.get("/series.json", params={"span": span}).json()
    marks = series.pop("marks")
    assert {len(column) for column in series.values()} == {count}
    assert [mark["kind"] for mark in marks if mark["kind"] == "deploy"] == ["deploy"]
    assert any(mark["text"].startswith("settings version 1") for mark in marks)


@pytest.mark.parametrize("span", ["hour", "day", "month"])
def test_a_span_tells_how_long_syncs_waited_and_ran(
    client: httpx.Client, redis_client: redis.Redis, namespace: str, clock_s: list[float], span: str
) -> None:
    notes = LatencyNotes(namespace)
    notes.note("wait", {0: 98, 10: 2}, clock_s[0])
    notes.note("run", {8: 1}, clock_s[0] - 300)
    with redis_client.pipeline() as pipeline:
        notes.put(pipeline)
        pipeline.execute()
    series = client.get("/series.json", params={"span": span}).json()
    waits = {name: [value for value in series[f"wait_{name}"] if value] for name in ("p50", "p95", "p99")}
    assert waits["p50"][0] < waits["p95"][0] < 0.005
    assert 5 < waits["p99"][0] < 10
    assert [value for value in series["run_p99"] if value] == [pytest.approx(2.485)]


def test_the_overview_tells_how_long_syncs_took_of_late(
    client: httpx.Client, redis_client: redis.Redis, namespace: str, clock_s: list[float]
) -> None:
    notes = LatencyNotes(namespace)
    notes.note("run", {10: 4}, clock_s[0])
    with redis_client.pipeline() as pipeline:
        notes.put(pipeline)
        pipeline.execute()
    page = client.get("/").text
    row = page[page.index("to run, last hour") :].partition("</tr>")[0]
    assert re.findall(r'class="num">([^<]+)<', row) == ["7.5 s", "9.8 s", "9.9 s"]


def test_an_unknown_span_is_a_mistake(client: httpx.Client) -> None:
    assert client.get("/series.json", params={"span": "year"}).status_code == 422
