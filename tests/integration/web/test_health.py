from __future__ import annotations

import httpx

from tests.conftest import Eventually
from tests.integration.web.conftest import Site


def test_a_turning_loop_is_alive(client: httpx.Client) -> None:
    answer = client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "pass"})


def test_a_stuck_loop_is_not(site: Site, client: httpx.Client) -> None:
    site.app.state.heartbeat._now_s = lambda: float("inf")
    assert client.get("/health/live").status_code == 503


def test_readiness_names_the_dependency_that_is_gone_and_recovers(
    site: Site, client: httpx.Client, eventually: Eventually
) -> None:
    assert client.get("/health/ready").status_code == 200
    site.redis.is_there = False
    eventually(lambda: client.get("/health/ready").status_code == 503)
    assert client.get("/health/ready").json()["missing"] == ["redis"]
    assert client.get("/health").json()["status"] == "fail"
    site.redis.is_there = True
    eventually(lambda: client.get("/health/ready").status_code == 200)


def test_the_full_report_gives_each_check_with_value_unit_and_time(client: httpx.Client) -> None:
    answer = client.get("/health")
    assert answer.headers["content-type"] == "application/health+json"
    report = answer.json()
    assert report["status"] == "pass"
    (disk,) = report["checks"]["disk"]
    assert (disk["status"], disk["observedValue"], disk["observedUnit"]) == ("pass", 12.5, "GB")
    assert disk["time"].endswith("Z")
