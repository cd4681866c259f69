"""The doctor finds what is wrong, says why it matters and how to mend it, and shows no secret."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from click.testing import CliRunner

from brokers.operations import Operations
from brokers.redis import PriorityRedisBroker
from cli.doctor import doctor
from settings.reload import Acknowledgement
from stores.redis.registry import Registry, describe_process
from stores.redis.versions import RedisVersions
from sync.clock import SystemClock
from tests.integration.brokers.server import Server
from tests.ports import free_port


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def client(server: Server) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def surroundings(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("REDIS_URL", server.url)
    (tmp_path / "home").mkdir()


def examine(*arguments: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the problems by what was checked."""
    result = CliRunner().invoke(doctor, ["--json", "--timeout", "5", *arguments])
    found = json.loads(result.stdout)["findings"]
    return result.exit_code, {one["check"]: one for one in found if not one["is_good"]}


def register_all(client: redis.Redis) -> Registry:
    registry = Registry(client, "clubsync", SystemClock())
    for role in ("worker", "web"):
        registry.beat(describe_process(role, SystemClock()))
    return registry


def test_processes_that_do_not_run_are_named_with_the_command_that_starts_them(client: redis.Redis) -> None:
    register_all(client)
    code, problems = examine()
    assert (code, set(problems)) == (1, {"scheduler"})
    assert "clubsync scheduler" in problems["scheduler"]["hint"]


@pytest.mark.parametrize(
    ("setting", "value", "mend"),
    [
        ("maxmemory-policy", "allkeys-lru", "CONFIG SET maxmemory-policy noeviction"),
        ("appendonly", "no", "CONFIG SET appendonly yes"),
    ],
)
def test_a_redis_that_loses_messages_is_found(
    client: redis.Redis, setting: str, value: str, mend: str
) -> None:
    register_all(client)
    client.config_set(setting, value)
    assert mend in examine()[1]["redis settings"]["hint"]


def test_a_full_redis_is_named_and_nothing_else_although_a_process_fell_silent(client: redis.Redis) -> None:
    registry = register_all(client)
    gone = describe_process("scheduler", SystemClock())
    registry.beat(gone)
    client.delete(f"{{clubsync}}:services:{gone.id}")
    client.config_set("maxmemory", "1mb")
    code, problems = examine()
    assert (code, set(problems)) == (1, {"redis"})
    assert "CONFIG SET maxmemory" in problems["redis"]["hint"]


def test_a_paused_queue_is_found(server: Server, client: redis.Redis) -> None:
    register_all(client)
    broker = PriorityRedisBroker(url=server.url)
    Operations(broker).pause("syncs")
    broker.close()
    broker.client.close()
    assert examine()[1]["queue syncs"]["hint"] == "clubsync queues resume syncs"


def test_a_clock_that_is_wrong_is_found(client: redis.Redis) -> None:
    class Ahead(SystemClock):
        def now(self) -> datetime:
            return datetime.now(UTC) + timedelta(minutes=5)

    register_all(client)
    scheduler = dataclasses.replace(describe_process("scheduler", SystemClock()), host="elsewhere")
    Registry(client, "clubsync", Ahead()).beat(scheduler)
    clock = examine()[1]["clock"]
    # A second may pass between the beat and the look.
    assert re.fullmatch(r"scheduler on elsewhere is \d+ s ahead of Redis", str(clock["value"]))
    assert "NTP" in clock["hint"]


def test_two_releases_side_by_side_are_found(client: redis.Redis) -> None:
    registry = register_all(client)
    old = dataclasses.replace(describe_process("scheduler", SystemClock()), version="0.0.1", host="old-host")
    registry.beat(old)
    assert examine()[1]["releases"]["hint"] == "restart the older ones: scheduler on old-host"


def test_a_process_that_refuses_the_settings_is_found(client: redis.Redis) -> None:
    worker = next(iter(register_all(client).living()))
    versions = RedisVersions(client, "clubsync")
    versions.acknowledge(
        Acknowledgement(
            process=worker,
            version=versions.in_force_number(),
            is_accepted=False,
            at=datetime.now(UTC),
            reason="http.attempts: should be at least 1",
        )
    )
    config = examine()[1]["config"]
    assert config["value"].startswith(f"{worker} refuses version")
    assert "http.attempts" in config["hint"]


def test_a_proxy_that_cannot_be_reached_is_found_without_its_password(
    client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_all(client)
    monkeypatch.setenv("CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY", "a-key-nobody-sees")
    monkeypatch.setenv("CLUBSYNC_HTTP__PROXIES", f'["http://me:hidden@127.0.0.1:{free_port()}"]')
    code, problems = examine()
    assert code == 1
    assert "CLUBSYNC_HTTP__PROXIES" in problems["proxy"]["hint"]
    assert not {"hidden", "a-key-nobody-sees"} & set(json.dumps(problems).replace('"', " ").split())
    assert "hidden" not in json.dumps(problems)


def test_a_production_without_tokens_is_found(client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    register_all(client)
    monkeypatch.setenv("CLUBSYNC_ENV", "production")
    assert "clubsync tokens add" in examine()[1]["tokens"]["hint"]


def test_a_missing_redis_ends_in_advice_and_not_in_a_traceback(server: Server) -> None:
    server.kill()
    code, problems = examine()
    assert code == 1
    assert "REDIS_URL" in problems["redis"]["hint"]
