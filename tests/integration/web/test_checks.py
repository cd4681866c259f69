from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from settings.reload import Acknowledgement
from stores.redis.breakers import FAILURES_TO_OPEN, RedisBreakers
from stores.redis.gates import Gates
from stores.redis.leases import RedisLeases
from stores.redis.quotas import RedisLedgers
from stores.redis.registry import describe_process
from stores.sql.engine import open_engine
from stores.sql.outbox import SqlOutbox
from stores.sql.refusals import Refusals
from sync.clock import SystemClock
from sync.errors import StoreUnavailable
from sync.ports import Fence
from sync.report import Stage
from tests.fakes import FakeClock
from tests.integration.web.conftest import Site
from tests.records import created, season
from web import checks
from web.health import Status

HOST = "provider.example"


def test_a_redis_that_keeps_what_it_is_given_passes(redis_client: redis.Redis) -> None:
    assert checks.check_redis(redis_client).status is Status.PASS


def test_a_redis_that_throws_messages_away_is_told(redis_client: redis.Redis) -> None:
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        finding = checks.check_redis(redis_client)
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")
    assert finding.status is Status.WARN
    assert "maxmemory-policy noeviction" in (finding.hint or "")


def test_a_redis_that_is_gone_fails() -> None:
    with (
        redis.Redis(host="127.0.0.1", port=1, socket_connect_timeout=1) as gone,
        pytest.raises(StoreUnavailable),
    ):
        checks.check_redis(gone)


def test_missing_migrations_fail_and_a_current_schema_passes(engine: Engine, tmp_path: object) -> None:
    assert checks.SqlCheck(engine)().status is Status.PASS
    empty = open_engine(f"sqlite:///{tmp_path}/empty.db", busy_timeout_s=5)
    finding = checks.SqlCheck(empty)()
    empty.dispose()
    assert finding.status is Status.FAIL
    assert "clubsync migrate" in (finding.hint or "")


def test_a_role_without_a_process_is_told_with_its_consequence(site: Site) -> None:
    registry = site.services.registry
    finding = checks.check_role(registry, "worker", consequence="nothing is carried out")
    assert (finding.status, finding.value) == (Status.WARN, 0)
    registry.beat(describe_process("worker", SystemClock()))
    assert checks.check_role(registry, "worker", consequence="").status is Status.PASS


def test_a_paused_queue_is_told(site: Site) -> None:
    assert checks.check_queues(site.operations).status is Status.PASS
    site.operations.pause("syncs")
    finding = checks.check_queues(site.operations)
    assert (finding.status, finding.value) == (Status.WARN, 1)
    assert "Nothing starts of syncs" in (finding.hint or "")


def test_a_process_that_refuses_the_newest_settings_is_told(site: Site) -> None:
    versions, registry = site.services.versions, site.services.registry
    worker = describe_process("worker", SystemClock())
    said = Acknowledgement(
        process=worker.id,
        version=versions.in_force_number(),
        is_accepted=False,
        at=SystemClock().now() - timedelta(seconds=1),
        reason="http: no way out",
    )
    versions.acknowledge(said)
    assert checks.check_config(versions, registry, SystemClock()).status is Status.PASS  # it does not live
    registry.beat(worker)

    def hint(**changes: Any) -> str:
        versions.acknowledge(replace(said, **changes))
        finding = checks.check_config(versions, registry, SystemClock())
        assert finding.status is Status.WARN
        return finding.hint or ""

    assert f"{worker.id} refuses version 1: http: no way out; mend it with `clubsync config set`" in hint()
    local = hint(is_local=True, reason="c.toml: is empty")
    assert local == f"{worker.id} keeps its last good settings: c.toml: is empty; mend that place."
    late = hint(is_accepted=True, reason=None, restart_for=("redis.url",))
    assert late == f"{worker.id} runs with older redis.url: restart that process."
    versions.acknowledge(replace(said, is_accepted=True))
    assert checks.check_config(versions, registry, SystemClock()).status is Status.PASS


def test_an_open_breaker_is_told_until_the_next_try(redis_client: redis.Redis, namespace: str) -> None:
    gates = Gates(redis_client, namespace)
    assert checks.check_provider(gates, "playhq", HOST).status is Status.PASS
    breaker = RedisBreakers(redis_client, namespace).breaker(HOST)
    for _ in range(FAILURES_TO_OPEN):
        breaker.failed()
    assert checks.check_provider(gates, "playhq", HOST).status is Status.WARN
    assert 50 < gates.breaker_open_s(HOST) <= 60


def test_a_lease_names_its_holder_for_as_long_as_it_is_held(
    redis_client: redis.Redis, namespace: str
) -> None:
    gates = Gates(redis_client, namespace)
    with RedisLeases(redis_client, namespace, lease_s=30).hold("playhq:o1", owner="run-1"):
        held = gates.lease("playhq:o1")
    assert held is not None
    assert held.owner == "run-1"
    assert 20 < held.left_s <= 30
    assert gates.lease("playhq:o1") is None


def test_changes_that_wait_for_the_cms_are_told_once_they_wait_long(sqlite_engine: Engine) -> None:
    clock = FakeClock()
    outbox, refusals = SqlOutbox(sqlite_engine, clock, max_records=10), Refusals(sqlite_engine, clock)
    nothing = checks.check_outbox(outbox, refusals)
    outbox.put("run-1", Stage.GAMES, [created(season())], fence=Fence("playhq:club-1", 1))
    fresh = checks.check_outbox(outbox, refusals)
    clock.at += timedelta(minutes=5)
    late = checks.check_outbox(outbox, refusals)

    assert [finding.status for finding in (nothing, fresh, late)] == [Status.PASS, Status.PASS, Status.WARN]
    assert [finding.value for finding in (nothing, fresh, late)] == [0, 1, 1]
    assert "5 min" in (late.hint or "")


def test_what_the_cms_refused_of_what_waited_is_told(sqlite_engine: Engine) -> None:
    clock = FakeClock()
    outbox, refusals = SqlOutbox(sqlite_engine, clock, max_records=10), Refusals(sqlite_engine, clock)
    outbox.put("run-1", Stage.GAMES, [created(season())], fence=Fence("playhq:club-1", 1))
    outbox.refuse([(one, "no such column") for one in outbox.first(10)])
    finding = checks.check_outbox(outbox, refusals)

    assert (finding.status, finding.value) == (Status.WARN, 1)
    assert "clubsync runs show run-1" in (finding.hint or "")


def test_a_provider_that_throttles_is_told_while_the_pause_lasts(
    redis_client: redis.Redis, namespace: str
) -> None:
    RedisLedgers(redis_client, namespace).ledger("playhq:k", requests_per_s=5, concurrency=4).pause(120)
    finding = checks.check_provider(Gates(redis_client, namespace), "playhq", HOST)
    assert finding.status is Status.WARN
    assert "throttles" in (finding.hint or "")
