"""Entries and presets that were set live are those that the commands know."""

from __future__ import annotations

import json

import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import Engine

from cli.batch import batch
from cli.schedule import schedule
from stores.redis.batches import Batches
from stores.redis.schedule import Schedule
from stores.redis.versions import RedisVersions, open_history
from sync.clock import SystemClock


@pytest.fixture(autouse=True)
def set_live(
    sqlite_engine: Engine,
    redis_url: str,
    redis_client: redis.Redis,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", str(sqlite_engine.url))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    history = open_history(RedisVersions(redis_client, namespace), SystemClock().now)
    history.change(
        {"scheduler.entries.extra.cron": "0 3 * * *", "presets.lean.games": False}, author="ann", reason=""
    )


def test_an_entry_that_was_set_live_is_listed_and_can_be_run(
    redis_client: redis.Redis, namespace: str
) -> None:
    listed = json.loads(CliRunner().invoke(schedule, ["list", "--json"]).stdout)
    assert "extra" in [entry["entry"] for entry in listed]
    asked = CliRunner().invoke(schedule, ["run", "extra"], catch_exceptions=False)
    assert "extra is asked for" in asked.stdout
    assert [request.entry_id for request in Schedule(redis_client, namespace).asked()] == ["extra"]


def test_a_batch_takes_a_preset_that_was_set_live(redis_client: redis.Redis, namespace: str) -> None:
    CliRunner().invoke(batch, ["--preset", "lean"], catch_exceptions=False)
    assert [asked.preset for asked in Batches(redis_client, namespace).asked()] == ["lean"]
