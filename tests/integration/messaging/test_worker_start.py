"""A worker that is started too early waits for its database, where everybody can see it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from brokers.chain import open_sender
from brokers.operations import Operations
from brokers.queues import Queue
from notifications.verdict.sight import unserved, without_actor
from stores.redis.registry import Registry, Service
from stores.sql.engine import open_engine
from stores.sql.migrate import upgrade
from sync.clock import SystemClock
from tests.conftest import Eventually
from web import checks
from web.health import Status

STARTED_WITHIN_S = 60.0


@pytest.mark.slow
def test_a_worker_waits_for_its_database_and_goes_on_by_itself(
    redis_url: str, redis_client: redis.Redis, namespace: str, tmp_path: Path, eventually: Eventually
) -> None:
    registry = Registry(redis_client, namespace, SystemClock())
    database = f"sqlite:///{tmp_path}/clubsync.db"
    environ = {
        **os.environ,
        "REDIS_URL": redis_url,
        "DATABASE_URL": database,
        "CLUBSYNC_HOME": str(tmp_path),
        "CLUBSYNC_REDIS__NAMESPACE": namespace,
    }
    command = [str(Path(sys.executable).with_name("clubsync")), "worker"]

    def is_in(state: str) -> bool:
        return [service.state for service in registry.list()] == [state]

    with subprocess.Popen(command, env=environ, start_new_session=True) as process:
        try:
            eventually(lambda: is_in("waiting for sql"), deadline_s=STARTED_WITHIN_S)
            finding = checks.check_role(registry, "worker", consequence="nothing is carried out")
            assert finding.status is Status.WARN
            assert "waiting for sql" in (finding.hint or "")
            upgrade(open_engine(database, busy_timeout_s=5))
            eventually(lambda: is_in("running"), deadline_s=STARTED_WITHIN_S)
            (worker,) = registry.list()
            assert set(worker.queues) >= {queue.value for queue in Queue}
            assert worker.queues_without_actor == ()
        finally:
            process.terminate()
    assert process.returncode == 0
    assert registry.list() == []


def test_a_queue_without_worker_and_a_worker_without_actor_are_said(
    redis_url: str, redis_client: redis.Redis, namespace: str
) -> None:
    registry = Registry(redis_client, namespace, SystemClock())
    broker = open_sender(redis_url, namespace=namespace)
    operations = Operations(broker)
    assert checks.check_served(registry, operations).status is Status.PASS
    redis_client.sadd(f"{{{namespace}}}:queues", "syncs", "tips")
    registry.beat(worker("w1", "syncs"))
    finding = checks.check_served(registry, operations)
    assert "No worker serves tips" in (finding.hint or "")
    registry.beat(worker("w2", "tips", "syncs", without=("tips",)))
    finding = checks.check_served(registry, operations)
    assert "w2 serves tips but has no actor for it" in (finding.hint or "")
    broker.close()


def worker(name: str, *queues: str, without: tuple[str, ...] = ()) -> Service:
    return Service(
        id=name,
        role="worker",
        host="here",
        pid=1,
        version="1",
        started_at=SystemClock().now(),
        queues=queues,
        queues_without_actor=without,
    )


def test_nothing_is_missed_while_no_worker_runs() -> None:
    assert unserved([], ["syncs"]) == []
    assert without_actor([worker("w1", "syncs")]) == {}
