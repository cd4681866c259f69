from __future__ import annotations

import httpx
import pytest

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


def test_an_unknown_span_is_a_mistake(client: httpx.Client) -> None:
    assert client.get("/series.json", params={"span": "year"}).status_code == 422
