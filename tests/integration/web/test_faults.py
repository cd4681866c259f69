"""Faults as the verdict tells them: one item each, which goes by itself once the fault is mended."""

from __future__ import annotations

import asyncio
import itertools
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import redis

from brokers.queues import Queue
from notifications.verdict.evidence import Evidence
from settings.reload import Acknowledgement
from stores.redis.breakers import FAILURES_TO_OPEN, RedisBreakers
from stores.redis.quotas import RedisLedgers
from stores.redis.registry import describe_process
from sync.causes import Cause
from sync.clock import SystemClock
from sync.errors import CmsUnavailable
from sync.report import Run, RunState
from tests.integration.web.conftest import Site
from tests.integration.web.runs import AT, a_run, hold_removals
from web import checks
from web.dashboard.overview import read_overview
from web.health import Check, Checkup, Finding

HOST = "provider.example"
SYNC = {"mode": "club", "id": 1}
WORKER = replace(describe_process("worker", SystemClock()), queues=tuple(queue.value for queue in Queue))
SCHEDULER = describe_process("scheduler", SystemClock())

Judge = Callable[[], Sequence[Evidence]]


class Cms:
    """One that a test can take away."""

    is_there = True

    def ask(self) -> None:
        if not self.is_there:
            raise CmsUnavailable("the CMS answered 503")


@pytest.fixture
def cms() -> Cms:
    return Cms()


@pytest.fixture
def checkup(site: Site, cms: Cms, redis_client: redis.Redis, tmp_path: Path) -> Checkup:
    """What the web process checks, asked anew each time."""
    services, clock = site.services, SystemClock()
    role = partial(checks.check_role, services.registry, consequence="nothing goes on")
    asked: dict[str, Callable[[], Finding]] = {
        "redis": partial(checks.check_redis, redis_client),
        "cms": partial(checks.check_cms, "embedded", cms.ask),
        "workers": partial(role, "worker"),
        "scheduler": partial(role, "scheduler"),
        "queues": partial(checks.check_queues, services.operations),
        "served": partial(checks.check_served, services.registry, services.operations),
        "config": partial(checks.check_config, services.versions, services.registry, clock),
        "syncs": partial(checks.check_syncs, site.stores.outcomes, clock),
        "provider:playhq": partial(checks.check_provider, services.gates, "playhq", HOST),
        "disk": partial(checks.check_disk, tmp_path),
    }
    required = ("redis", "cms")
    turns = itertools.count(step=10)
    return Checkup(
        [Check(name=name, ask=ask, is_required=name in required) for name, ask in asked.items()],
        now_s=lambda: float(next(turns)),
    )


@pytest.fixture
def judge(site: Site, checkup: Checkup) -> Judge:
    """The items of the verdict now, over a worker for every queue and a scheduler."""
    site.services.registry.beat(WORKER)
    site.services.registry.beat(SCHEDULER)

    def now() -> Sequence[Evidence]:
        asyncio.run(checkup.report())
        evidence: Sequence[Evidence] = read_overview(site.services, checkup)["verdict"].evidence
        return evidence

    assert now() == []
    return now


def the_item(judge: Judge) -> str:
    """The only one, with its next step."""
    (item,) = judge()
    return f"{item.what} {item.step}"


def a_sync(site: Site, state: RunState, cause: Cause | None, message: str | None) -> Run:
    now = SystemClock().now()
    at = {"requested_at": now, "started_at": now, "finished_at": now if state.is_final else None}
    run = a_run("the-sync", state=state, cause=cause, message=message, **at)
    site.stores.runs.save(run)
    return run


def mend(site: Site, run: Run) -> None:
    now = SystemClock().now()
    site.stores.runs.save(replace(run, state=RunState.SUCCEEDED, cause=None, message=None, finished_at=now))


def silence(redis_client: redis.Redis, namespace: str, process: str) -> None:
    """Let its last beat be older than any may be."""
    redis_client.delete(f"{{{namespace}}}:services:{process}")


def test_a_worker_that_fell_silent_beside_another(
    site: Site, redis_client: redis.Redis, namespace: str, judge: Judge
) -> None:
    lost = replace(WORKER, id="worker:host-1:1")
    site.services.registry.beat(lost)
    silence(redis_client, namespace, lost.id)
    assert "worker:host-1:1 fell silent without saying that it ends" in the_item(judge)
    started_at = SystemClock().now() + timedelta(seconds=1)
    site.services.registry.beat(replace(lost, id="worker:host-1:2", started_at=started_at))
    assert judge() == []


def test_the_only_worker_stuck(site: Site, redis_client: redis.Redis, namespace: str, judge: Judge) -> None:
    silence(redis_client, namespace, WORKER.id)
    assert f"{WORKER.id} is registered but silent, so nothing goes on" in the_item(judge)
    site.services.registry.beat(WORKER)
    assert judge() == []


def test_the_only_worker_quieted_by_hand(site: Site, worker: str, judge: Judge) -> None:
    assert judge() == []
    site.operations.quiet(worker)
    assert f"{worker} is quiet, and no other worker lives" in the_item(judge)
    site.operations.quiet(worker, is_quiet=False)
    assert judge() == []


def test_a_dead_scheduler(site: Site, redis_client: redis.Redis, namespace: str, judge: Judge) -> None:
    silence(redis_client, namespace, SCHEDULER.id)
    assert f"{SCHEDULER.id} is registered but silent, so nothing goes on" in the_item(judge)
    site.services.registry.beat(SCHEDULER)
    assert judge() == []


def test_a_sync_that_runs_far_longer_than_its_account_usually_takes(site: Site, judge: Judge) -> None:
    site.stores.runs.save(a_run("past", requested_at=AT - timedelta(days=1)))
    run = a_sync(site, RunState.RUNNING, None, None)
    assert judge() == []
    site.stores.runs.save(replace(run, started_at=run.requested_at - timedelta(hours=6)))
    assert "The sync of Rovers has run for 360 min, far longer than it usually does." in the_item(judge)
    mend(site, run)
    assert judge() == []


def test_a_queue_without_a_worker(site: Site, judge: Judge) -> None:
    site.services.registry.beat(replace(WORKER, queues=("health",)))
    with site.client() as client:
        client.post("/api/v1/syncs", json=SYNC)
    site.services.registry.beat(replace(WORKER, queues=tuple(set(WORKER.queues) - {"syncs"})))
    assert "No worker serves syncs; 1 waits there. Start one that does" in the_item(judge)
    site.services.registry.beat(WORKER)
    assert judge() == []


def test_a_worker_without_an_actor(site: Site, judge: Judge) -> None:
    site.services.registry.beat(replace(WORKER, queues_without_actor=("syncs",)))
    assert "serves syncs but has no actor for it" in the_item(judge)
    site.services.registry.beat(WORKER)
    assert judge() == []


def test_a_paused_queue(site: Site, judge: Judge) -> None:
    with site.client() as client:
        client.post("/api/v1/queues/syncs/pause", json={})
        client.post("/api/v1/syncs", json=SYNC)
        assert "syncs is paused by local; 1 waits. Resume it" in the_item(judge)
        client.post("/api/v1/queues/syncs/resume", json={})
    assert judge() == []


def test_a_wrong_proxy(site: Site, checkup: Checkup, judge: Judge) -> None:
    run = a_sync(site, RunState.FAILED, Cause.PROXY_DOWN, "the proxy 127.0.0.1:9 does not answer")
    told = the_item(judge)
    assert "1 sync failed in the last hour: the proxy 127.0.0.1:9 does not answer." in told
    assert "Look at the proxies of `http.proxies`" in told
    assert checkup.last_report["syncs"]["status"] == "warn"
    mend(site, run)
    assert judge() == []


def test_a_provider_that_is_down_with_its_open_breaker(
    site: Site, redis_client: redis.Redis, namespace: str, judge: Judge
) -> None:
    breaker = RedisBreakers(redis_client, namespace).breaker(HOST)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    run = a_sync(site, RunState.DEFERRED, Cause.PROVIDER_DOWN, "provider.example answered 503")
    (item,) = judge()
    assert item.key == "provider:playhq"
    told = " ".join(one.what for one in (item, *item.also))
    assert "provider.example does not answer" in told
    assert "1 sync is put off: provider.example answered 503." in told
    breaker.succeeded()
    mend(site, run)
    assert judge() == []


def test_a_refused_key_with_its_dead_letters(site: Site, checkup: Checkup, judge: Judge) -> None:
    with site.client() as client:
        client.post("/api/v1/syncs", json=SYNC)
    site.kill("syncs")
    run = a_sync(site, RunState.FAILED, Cause.PROVIDER_REFUSES_KEY, "the provider refuses our key (401)")
    (item,) = judge()
    assert "the provider refuses our key (401). Put the right key into the settings" in item.what
    assert [one.what for one in item.also] == ["1 dead letter in syncs."]
    health = checkup.last_report["syncs"]
    assert (health["status"], health["observedValue"]) == ("warn", "playhq")
    assert "clubsync dead retry --search CredentialsRejected" in health["output"]
    with site.client() as client:
        client.post("/api/v1/dead/retry", json={"queue": "syncs"})
    site.services.removal.delete(site.services.letters.latest("syncs"), by="test")
    mend(site, run)
    assert judge() == []


def test_a_provider_that_throttles_for_long(redis_client: redis.Redis, namespace: str, judge: Judge) -> None:
    before = set(redis_client.keys())
    ledger = RedisLedgers(redis_client, namespace).ledger("playhq:k", requests_per_s=5, concurrency=5)
    ledger.pause(10)
    assert judge() == []
    ledger.pause(170)
    assert "playhq throttles: everybody who uses its key pauses for 3 min more." in the_item(judge)
    redis_client.delete(*set(redis_client.keys()) - before)
    assert judge() == []


def test_a_cms_that_is_down_with_the_syncs_it_puts_off(site: Site, cms: Cms, judge: Judge) -> None:
    cms.is_there = False
    run = a_sync(site, RunState.DEFERRED, Cause.CMS_DOWN, "the CMS answered 503")
    assert "cms: the CMS answered 503" in the_item(judge)
    cms.is_there = True
    mend(site, run)
    assert judge() == []


def test_a_wrong_eviction_policy(redis_client: redis.Redis, judge: Judge) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        assert "run CONFIG SET maxmemory-policy noeviction" in the_item(judge)
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    assert judge() == []


def test_a_full_redis(redis_client: redis.Redis, judge: Judge) -> None:
    redis_client.config_set("maxmemory", 1024**2)
    try:
        assert "Redis is full and refuses messages and heartbeats; give it more memory" in the_item(judge)
    finally:
        redis_client.config_set("maxmemory", 0)
    assert judge() == []


def test_a_process_that_refuses_the_newest_settings(site: Site, judge: Judge) -> None:
    worker = describe_process("worker", SystemClock())
    site.services.registry.beat(worker)
    said = Acknowledgement(
        process=worker.id,
        version=site.services.versions.in_force_number(),
        is_accepted=False,
        at=SystemClock().now(),
        reason="its file is wrong",
    )
    site.services.versions.acknowledge(said)
    assert f"{worker.id} refuses version {said.version}: its file is wrong; mend it with" in the_item(judge)
    site.services.versions.acknowledge(replace(said, is_accepted=True))
    assert judge() == []


def test_what_a_guard_holds(site: Site, judge: Judge) -> None:
    hold_removals(site.stores)
    told = the_item(judge)
    assert "A guard held back what the sync of Rovers would write" in told
    assert "Approve or reject it" in told
    later = AT + timedelta(hours=1)
    site.stores.runs.save(a_run("next", requested_at=later, finished_at=later))
    assert judge() == []


def test_many_dead_letters(site: Site, judge: Judge) -> None:
    with site.client() as client:
        for account_id, mode in ((1, "club"), (2, "association")):
            client.post("/api/v1/syncs", json={"mode": mode, "id": account_id})
            site.kill("syncs")
    assert "2 dead letters in syncs. See why, then retry or delete them" in the_item(judge)
    site.services.removal.delete(site.services.letters.latest("syncs"), by="test")
    assert judge() == []


def test_a_disk_that_is_nearly_full(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _folder: SimpleNamespace(free=1024**2))
        assert "is nearly full" in the_item(judge)
    assert judge() == []
