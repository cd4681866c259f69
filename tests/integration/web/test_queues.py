"""Queues, dead letters and workers over HTTP, with the broker behind them."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.web.conftest import Site

QUEUES = "/api/v1/queues"
DEAD = "/api/v1/dead"
WORKERS = "/api/v1/workers"


def order(client: httpx.Client, account_id: int = 1, **body: Any) -> str:
    mode = "club" if account_id == 1 else "association"
    answer = client.post("/api/v1/syncs", json={"mode": mode, "id": account_id, **body})
    return str(answer.json()["message_id"])


class TestQueues:
    def test_every_queue_is_listed_with_its_depth_and_ledger(self, client: httpx.Client) -> None:
        order(client)
        queues = {queue["name"]: queue for queue in client.get(QUEUES).json()["items"]}
        assert {"onboarding", "updates", "syncs", "direct", "grades", "notifications"} <= queues.keys()
        syncs = queues["syncs"]
        assert (syncs["depth"], syncs["waiting"]["normal"], syncs["ledger"]["enqueued"]) == (1, 1, 1)
        assert syncs["ledger"]["is_balanced"]
        assert syncs["oldest_age_s"] >= 0

    def test_a_queue_is_paused_and_resumed(self, client: httpx.Client) -> None:
        client.post(f"{QUEUES}/syncs/pause")
        assert client.get(f"{QUEUES}/syncs").json()["is_paused"]
        client.post(f"{QUEUES}/syncs/resume")
        assert not client.get(f"{QUEUES}/syncs").json()["is_paused"]

    def test_a_queue_is_limited_and_freed_again(self, client: httpx.Client, site: Site) -> None:
        for limit in (2, None):
            assert client.put(f"{QUEUES}/syncs/limit", json={"limit": limit}).is_success
            assert client.get(f"{QUEUES}/syncs").json()["limit"] == limit
            line = site.stores.audit.list(subject="queue:syncs", limit=1).items[0]
            assert (line.action, line.detail["limit"]) == ("queue_limited", limit)

    @pytest.mark.parametrize("body", [{}, {"limit": 0}, {"limit": "2"}, {"limit": 1, "most": 1}])
    def test_what_is_no_limit_is_refused(self, client: httpx.Client, body: dict[str, Any]) -> None:
        assert client.put(f"{QUEUES}/syncs/limit", json=body).status_code == 422

    def test_purging_deletes_what_waits_and_ends_its_runs_as_cancelled(
        self, client: httpx.Client, site: Site
    ) -> None:
        run_id = order_run(client)
        purged = client.post(f"{QUEUES}/syncs/purge").json()
        assert purged == {"detail": "1 message of syncs deleted; 1 run cancelled.", "count": 1}
        assert site.waiting() == 0
        run = client.get(f"/api/v1/syncs/{run_id}").json()
        by = site.stores.audit.list(subject="queue:syncs", limit=1).items[0]
        assert run["state"] == "cancelled"
        assert run["message"] == f"cancelled by api:{by.actor}, who purged the queue syncs"
        assert run["finished_at"] is not None
        assert (by.detail["count"], by.detail["runs"]) == (1, 1)

    @pytest.mark.parametrize("act", ["", "/pause", "/resume", "/purge"])
    def test_an_unknown_queue_is_not_found(self, client: httpx.Client, act: str) -> None:
        method = "POST" if act else "GET"
        assert client.request(method, f"{QUEUES}/nothing{act}").status_code == 404


def order_run(client: httpx.Client) -> str:
    return str(client.post("/api/v1/syncs", json={"mode": "club", "id": 1}).json()["run_id"])


@pytest.fixture
def dead_ids(site: Site, client: httpx.Client) -> list[str]:
    """Two syncs that died, the second one last."""
    ids = []
    for account_id in (1, 2):
        order(client, account_id)
        ids.append(site.kill("syncs"))
    return ids


class TestDeadLetters:
    def test_they_are_listed_latest_first_in_pages(self, client: httpx.Client, dead_ids: list[str]) -> None:
        first = client.get(DEAD, params={"limit": 1}).json()
        second = client.get(DEAD, params={"limit": 1, "cursor": first["next_cursor"]}).json()
        assert [first["items"][0]["id"], second["items"][0]["id"]] == dead_ids[::-1]
        assert second["next_cursor"] is None
        assert first["items"][0]["actor"] == "sync_association"

    @pytest.mark.parametrize(
        ("params", "places"),
        [
            ({"account_id": "1"}, [0]),
            ({"actor": "sync_association"}, [1]),
            ({"queue": "syncs"}, [1, 0]),
            ({"queue": "direct"}, []),
            ({"q": "no such text"}, []),
        ],
    )
    def test_filters_narrow_the_list(
        self, client: httpx.Client, dead_ids: list[str], params: dict[str, str], places: list[int]
    ) -> None:
        found = [letter["id"] for letter in client.get(DEAD, params=params).json()["items"]]
        assert found == [dead_ids[place] for place in places]

    def test_one_is_retried_as_it_was(self, client: httpx.Client, site: Site, dead_ids: list[str]) -> None:
        assert client.post(f"{DEAD}/{dead_ids[0]}/retry").json()["count"] == 1
        assert site.waiting() == 1
        assert client.get(f"{DEAD}/{dead_ids[0]}").status_code == 404

    def test_one_is_retried_edited(self, client: httpx.Client, site: Site, dead_ids: list[str]) -> None:
        change = {"arguments": {"preset": "quick"}, "priority": "urgent"}
        assert client.post(f"{DEAD}/{dead_ids[0]}/retry", json=change).json()["count"] == 1
        waiting = site.operations.queue("syncs").waiting
        assert [level for level, count in waiting.items() if count] == ["urgent"]

    @pytest.mark.parametrize("arguments", [{"preset": "fast"}, {"account_id": "x"}, {"speed": 9}])
    def test_an_edit_that_would_be_refused_is_a_mistake(
        self, client: httpx.Client, dead_ids: list[str], arguments: dict[str, Any]
    ) -> None:
        answer = client.post(f"{DEAD}/{dead_ids[0]}/retry", json={"arguments": arguments})
        assert answer.status_code == 422
        assert client.get(f"{DEAD}/{dead_ids[0]}").status_code == 200

    def test_all_of_a_filter_are_retried(self, client: httpx.Client, site: Site, dead_ids: list[str]) -> None:
        assert client.post(f"{DEAD}/retry", json={"queue": "syncs"}).json()["count"] == len(dead_ids)
        assert site.waiting() == len(dead_ids)

    def test_an_empty_filter_is_a_mistake_not_all(self, client: httpx.Client, dead_ids: list[str]) -> None:
        assert client.post(f"{DEAD}/delete", json={}).status_code == 422
        assert len(client.get(DEAD).json()["items"]) == len(dead_ids)

    def test_they_are_deleted_one_by_one_or_by_filter(
        self, client: httpx.Client, dead_ids: list[str]
    ) -> None:
        assert client.delete(f"{DEAD}/{dead_ids[0]}").json()["count"] == 1
        assert client.post(f"{DEAD}/delete", json={"ids": dead_ids}).json()["count"] == 1
        assert client.get(DEAD).json()["items"] == []

    def test_a_run_that_is_open_ends_with_its_dead_letter(self, client: httpx.Client, site: Site) -> None:
        run_id = order_run(client)
        answer = client.delete(f"{DEAD}/{site.kill('syncs')}").json()
        assert answer["detail"].endswith(" is deleted; 1 run cancelled.")
        run = client.get(f"/api/v1/syncs/{run_id}").json()
        assert run["state"] == "cancelled"
        assert run["message"].endswith(", who deleted its message")

    @pytest.mark.parametrize(("method", "act"), [("GET", ""), ("DELETE", ""), ("POST", "/retry")])
    def test_an_unknown_one_is_not_found(self, client: httpx.Client, method: str, act: str) -> None:
        assert client.request(method, f"{DEAD}/none{act}").status_code == 404


class TestWorkers:
    def test_a_worker_is_quieted_woken_and_stopped(self, client: httpx.Client, worker: str) -> None:
        def shown() -> dict[str, Any]:
            (found,) = client.get(WORKERS).json()["workers"]
            assert isinstance(found, dict)
            return found

        assert (shown()["process"], shown()["is_quiet"]) == (worker, False)
        client.post(f"{WORKERS}/{worker}/quiet")
        assert shown()["is_quiet"]
        client.post(f"{WORKERS}/{worker}/wake")
        assert not shown()["is_quiet"]
        client.post(f"{WORKERS}/{worker}/stop")
        assert shown()["is_stopping"]

    @pytest.mark.parametrize("act", ["quiet", "wake", "stop"])
    def test_an_unknown_worker_is_not_found(self, client: httpx.Client, act: str) -> None:
        assert client.post(f"{WORKERS}/none/{act}").status_code == 404
