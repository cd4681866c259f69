"""Batches, schedules, settings, audit, metrics and plugins over HTTP."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import httpx
import msgspec
import pytest
import redis

from brokers.metrics import Series, metrics_key
from stores.redis.batches import BatchState
from stores.redis.registry import describe_process
from sync.clock import SystemClock
from tests.integration.web.conftest import Site


class TestBatches:
    def test_a_batch_is_left_for_the_scheduler(self, client: httpx.Client, site: Site) -> None:
        body = {"types": ["club"], "tags": ["trial"], "preset": "quick", "spread_s": 600}
        answer = client.post("/api/v1/batches", json=body)
        assert answer.status_code == 202
        (asked,) = site.services.batches.asked()
        assert (asked.types, asked.tags, asked.spread_s) == (("club",), ("trial",), 600)
        assert asked.requested_by == "api:local"
        shown = client.get(answer.headers["location"]).json()
        assert (shown["state"], shown["progress"]["total"]) == ("asked", 0)
        assert [batch["id"] for batch in client.get("/api/v1/batches").json()["items"]] == [asked.id]

    def test_every_mistake_is_listed(self, client: httpx.Client, site: Site) -> None:
        body = {"types": ["team"], "preset": "fast", "spread_s": -1, "priority": "now", "filter": {}}
        body["provider"] = "nobody"
        answer = client.post("/api/v1/batches", json=body)
        pointers = {mistake["pointer"] for mistake in answer.json()["errors"]}
        assert pointers == {"/types/0", "/preset", "/spread_s", "/priority", "/filter", "/provider"}
        assert not site.services.batches.asked()

    def test_a_batch_is_cancelled_by_the_scheduler_once(self, client: httpx.Client, site: Site) -> None:
        batch_id = client.post("/api/v1/batches", json={"plans": ["gold"], "older_than_s": 3600}).json()["id"]
        answer = client.post(f"/api/v1/batches/{batch_id}/cancel")
        assert answer.status_code == 202
        (cancellation,) = site.services.batches.cancellations()
        assert cancellation.batch_id == batch_id
        over = msgspec.structs.replace(site.services.batches.find(batch_id), state=BatchState.CANCELLED)
        site.services.batches.save(over)
        refused = client.post(f"/api/v1/batches/{batch_id}/cancel")
        assert refused.status_code == 422
        assert "over already" in refused.text

    def test_an_unknown_batch_is_not_found(self, client: httpx.Client) -> None:
        assert client.get("/api/v1/batches/none").status_code == 404


class TestSchedules:
    def test_an_entry_is_paused_and_resumed(self, client: httpx.Client) -> None:
        def shown() -> tuple[bool, str | None]:
            (entry,) = [
                entry for entry in client.get("/api/v1/schedules").json()["items"] if entry["id"] == "nightly"
            ]
            return entry["is_paused"], entry["paused_by"]

        assert shown() == (False, None)
        client.post("/api/v1/schedules/nightly/pause")
        assert shown() == (True, "api:local")
        client.post("/api/v1/schedules/nightly/resume")
        assert shown() == (False, None)

    def test_an_entry_is_run_now(self, client: httpx.Client, site: Site) -> None:
        assert client.post("/api/v1/schedules/nightly/run").status_code == 202
        (asked,) = site.services.schedule.asked()
        assert (asked.entry_id, asked.requested_by) == ("nightly", "api:local")

    @pytest.mark.parametrize("act", ["run", "pause", "resume"])
    def test_an_unknown_entry_is_not_found(self, client: httpx.Client, act: str) -> None:
        answer = client.post(f"/api/v1/schedules/none/{act}")
        assert answer.status_code == 404
        assert "nightly" in answer.json()["detail"]


def test_settings_are_shown_without_secrets_and_only_when_changed(client: httpx.Client) -> None:
    answer = client.get("/api/v1/config")
    assert answer.json()["values"]["web"]["port"] == 8000
    again = client.get("/api/v1/config", headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


class TestChangingSettings:
    KEY = "providers.playhq.requests_per_s"

    def change(self, client: httpx.Client, value: object, **headers: str) -> httpx.Response:
        body = {"changes": {self.KEY: value}, "reason": "asked for"}
        return client.patch("/api/v1/config", json=body, headers=headers)

    def test_a_change_is_a_new_version_with_its_difference(self, client: httpx.Client, site: Site) -> None:
        answer = self.change(client, 2.5)
        assert answer.status_code == 200
        shown = client.get(answer.headers["location"]).json()
        assert (shown["number"], shown["author"], shown["reason"]) == (2, "local", "asked for")
        assert shown["differences"] == [{"key": self.KEY, "before": 5.0, "after": 2.5}]
        site.reloader.look()
        assert client.get("/api/v1/config").json()["values"]["providers"]["playhq"]["requests_per_s"] == 2.5
        numbers = [one["number"] for one in client.get("/api/v1/config/versions").json()["items"]]
        assert numbers == [2, 1]

    def test_what_would_not_be_valid_is_refused_with_every_mistake(self, client: httpx.Client) -> None:
        body = {"changes": {self.KEY: -1, "web.colour": "red"}, "reason": "x"}
        answer = client.patch("/api/v1/config", json=body)
        assert answer.status_code == 422
        assert len(answer.json()["errors"]) == 2

    def test_who_looked_at_other_settings_changes_nothing(self, client: httpx.Client, site: Site) -> None:
        seen = client.get("/api/v1/config").headers["etag"]
        assert self.change(client, 2.5, **{"If-Match": seen}).status_code == 200
        site.reloader.look()
        assert self.change(client, 9.0, **{"If-Match": seen}).status_code == 412

    def test_an_earlier_version_is_restored_as_a_new_one(self, client: httpx.Client, site: Site) -> None:
        self.change(client, 2.5)
        answer = client.post("/api/v1/config/rollback", json={"version": 1})
        assert answer.json()["number"] == 3
        site.reloader.look()
        assert client.get("/api/v1/config").json()["values"]["providers"]["playhq"]["requests_per_s"] == 5.0

    def test_an_unknown_version_is_not_found(self, client: httpx.Client) -> None:
        assert client.get("/api/v1/config/versions/9").status_code == 404
        assert client.post("/api/v1/config/rollback", json={"version": 9}).status_code == 404


class TestCanary:
    CHANGE: ClassVar = {"changes": {"http.read_timeout_s": 3}, "reason": "faster", "canary_s": 60}

    @pytest.fixture
    def worker(self, site: Site) -> str:
        """A process in the registry that counts as a worker."""
        service = replace(describe_process("worker", SystemClock()), id="worker:test")
        site.services.registry.beat(service)
        return service.id

    def test_a_version_is_tried_on_one_worker_and_promoted_by_hand(
        self, client: httpx.Client, site: Site, worker: str
    ) -> None:
        answer = client.patch("/api/v1/config", json=self.CHANGE)
        assert answer.json()["number"] == 2
        trial = client.get(answer.headers["location"]).json()["trial"]
        assert (trial["number"], trial["base"], trial["worker"]) == (2, 1, worker)
        site.reloader.look()
        assert site.reloader.in_force.number == 1
        assert "canary" in client.get("/config").text
        assert client.post("/api/v1/config/canary/promote").status_code == 200
        site.reloader.look()
        assert site.reloader.in_force.number == 2
        shown = client.get("/api/v1/config/canary").json()
        assert (shown["trial"], shown["ended"][0]["outcome"]) == (None, "promoted")
        assert client.post("/api/v1/config/canary/promote").status_code == 404
        acts = [line.action for line in site.stores.audit.list(limit=5, cursor=None).items]
        assert acts == ["config_canary_ended", "config_canary_begun"]

    def test_nothing_else_is_set_meanwhile(self, client: httpx.Client, worker: str) -> None:
        client.patch("/api/v1/config", json=self.CHANGE)
        answer = client.patch("/api/v1/config", json={"changes": {"sync.attempts": 2}, "reason": "x"})
        assert answer.status_code == 409
        assert "is on trial" in answer.json()["detail"]

    def test_there_must_be_a_worker_and_something_it_can_prove(
        self, client: httpx.Client, site: Site
    ) -> None:
        answer = client.patch("/api/v1/config", json=self.CHANGE)
        assert answer.status_code == 404
        assert "none runs" in answer.json()["detail"]
        site.services.registry.beat(describe_process("worker", SystemClock()))
        answer = client.patch(
            "/api/v1/config", json={"changes": {"worker.grace_s": 3}, "reason": "x", "canary_s": 60}
        )
        assert answer.status_code == 422
        assert "reads it only when it starts" in answer.json()["errors"][0]["detail"]


def test_a_change_and_a_rollback_are_shown_before_they_are_made(client: httpx.Client, site: Site) -> None:
    change = {"changes": {"sync.attempts": 2}, "reason": "x", "preview": True}
    wanted = [{"key": "sync.attempts", "before": 3, "after": 2}]
    assert client.patch("/api/v1/config", json=change).json()["differences"] == wanted
    client.patch("/api/v1/config", json={**change, "preview": False})
    restore = client.post("/api/v1/config/rollback", json={"version": 1, "preview": True}).json()
    assert restore["differences"] == [{"key": "sync.attempts", "before": 2, "after": 3}]
    assert site.services.versions.newest_number() == 2


def test_every_act_leaves_an_audit_line(client: httpx.Client) -> None:
    client.post("/api/v1/schedules/nightly/pause")
    client.post("/api/v1/batches", json={})
    lines = client.get("/api/v1/audit").json()["items"]
    assert [line["action"] for line in lines] == ["batch_asked", "schedule_paused"]
    assert {line["detail"]["address"] for line in lines} == {"127.0.0.1"}
    (line,) = client.get("/api/v1/audit", params={"subject": "schedule:nightly"}).json()["items"]
    assert (line["actor"], line["source"]) == ("local", "api")


def test_the_built_in_plugins_are_listed_with_their_package(client: httpx.Client) -> None:
    items = client.get("/api/v1/plugins").json()["items"]
    assert {"providers", "cms", "channels"} <= {item["kind"] for item in items}
    assert all(item["package"] == "clubsync" for item in items)


def test_counters_of_all_processes_are_exported_for_prometheus(
    client: httpx.Client, site: Site, redis_client: redis.Redis, namespace: str
) -> None:
    series = Series("syncs", "sync_club")
    counted = [("sent", None, "3"), ("wait", 0, "2"), ("wait", 2, "1"), ("wait_sum", None, "0.5")]
    for name, bucket, value in counted:
        redis_client.hset(metrics_key(namespace), series.field(name, bucket), value)
    site.services.registry.beat(describe_process("worker", SystemClock()))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    labels = 'queue="syncs",actor="sync_club"'
    assert f"clubsync_messages_sent_total{{{labels}}} 3" in lines
    assert f'clubsync_message_wait_seconds_bucket{{{labels},le="0.005"}} 2' in lines
    assert f'clubsync_message_wait_seconds_bucket{{{labels},le="+Inf"}} 3' in lines
    assert f"clubsync_message_wait_seconds_sum{{{labels}}} 0.5" in lines
    assert f"clubsync_message_wait_seconds_count{{{labels}}} 3" in lines
    assert 'clubsync_processes{role="worker"} 1' in lines
