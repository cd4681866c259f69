"""The scheduler as it is deployed: `python -m scheduler`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from settings.reload import Acknowledgement
from stores.redis.registry import Registry
from stores.redis.versions import RedisVersions, open_history
from stores.sql.engine import open_engine
from stores.sql.migrate import upgrade
from sync.clock import SystemClock
from tests.conftest import Eventually

START_S = 60.0
# Not due in any of these tests, whenever they run.
YEARLY = "[scheduler.entries.health]\nevery_s = 31536000\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "clubsync.toml"
    path.write_text(YEARLY)
    return path


@pytest.fixture
def scheduler(
    redis_url: str, namespace: str, tmp_path: Path, config: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A running process; it is killed if the test does not end it."""
    database = f"sqlite:///{tmp_path}/clubsync.db"
    engine = open_engine(database, busy_timeout_s=5)
    upgrade(engine)
    engine.dispose()
    environ = {
        **os.environ,
        "REDIS_URL": redis_url,
        "DATABASE_URL": database,
        "CLUBSYNC_CONFIG": str(config),
        "CLUBSYNC_REDIS__NAMESPACE": namespace,
    }
    with subprocess.Popen([sys.executable, "-m", "scheduler"], env=environ) as process:
        yield process
        process.kill()


@pytest.fixture
def said(
    redis_client: redis.Redis, namespace: str
) -> Callable[[Callable[[Acknowledgement], bool]], Callable[[], Acknowledgement | None]]:
    """Find what the process said last, if it is as wanted."""

    def of(wanted: Callable[[Acknowledgement], bool]) -> Callable[[], Acknowledgement | None]:
        def find() -> Acknowledgement | None:
            now, living = datetime.now(UTC), Registry(redis_client, namespace, SystemClock()).living()
            found = RedisVersions(redis_client, namespace).acknowledgements(now, living=living)
            return found[0] if found and wanted(found[0]) else None

        return find

    return of


@pytest.fixture
def keys(redis_client: redis.Redis, namespace: str) -> tuple[redis.Redis, str]:
    """Where the process keeps what it does."""
    return redis_client, namespace


Said = Callable[[Callable[[Acknowledgement], bool]], Callable[[], Acknowledgement | None]]


@pytest.mark.slow
def test_settings_reach_a_running_scheduler_and_it_ends_in_order(
    scheduler: subprocess.Popen[bytes],
    said: Said,
    config: Path,
    keys: tuple[redis.Redis, str],
    eventually: Eventually,
) -> None:
    redis_client, namespace = keys

    def checks() -> int:
        return int(redis_client.hlen(f"{{{namespace}}}:values"))

    eventually(said(lambda one: one.version == 1 and one.is_accepted), deadline_s=START_S)
    assert checks() == 0

    config.write_text("[scheduler.entries.health]\nevery_s = 'often'\n")
    refused = eventually(said(lambda one: not one.is_accepted))
    assert refused is not None
    assert f"{config}: scheduler.entries.health.every_s = 'often'" in (refused.reason or "")

    config.write_text("[scheduler.entries.health]\nevery_s = 1\n")
    eventually(said(lambda one: one.version == 2 and one.is_accepted))
    eventually(lambda: checks() > 3)

    history = open_history(RedisVersions(redis_client, namespace), lambda: datetime.now(UTC))
    changed = history.change({"logging.level": "debug", "redis.max_connections": 9}, author="ann", reason="")
    taken = eventually(said(lambda one: one.version == changed.number))
    assert taken is not None
    assert taken.restart_for == ("redis.max_connections",)

    scheduler.send_signal(signal.SIGHUP)
    scheduler.terminate()
    assert scheduler.wait(START_S) == 0
