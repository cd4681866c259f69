"""`clubsync queues` on a real Redis and database: what it does, says and leaves in the audit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from brokers.chain import open_sender
from brokers.messages import parse
from brokers.publisher import Publisher
from cli.queues import queues
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.errors import InvalidRequest
from sync.report import RunState


@pytest.fixture
def stores(
    sqlite_engine: Engine, redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> SqlStores:
    monkeypatch.setenv("DATABASE_URL", str(sqlite_engine.url))
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    return open_stores(sqlite_engine, SystemClock())


def shown(name: str) -> dict[str, Any]:
    found = json.loads(CliRunner().invoke(queues, ["--json"]).stdout)
    return next(queue for queue in found if queue["name"] == name)


def test_a_queue_is_limited_and_freed_again(stores: SqlStores) -> None:
    said = CliRunner().invoke(queues, ["limit", "syncs", "1"])
    assert said.stdout == "At most 1 of syncs runs at once; what runs goes on.\n"
    assert shown("syncs")["limit"] == 1
    assert "0 of 1" in CliRunner().invoke(queues).stdout
    assert CliRunner().invoke(queues, ["limit", "syncs", "none"]).exit_code == 0
    assert shown("syncs")["limit"] is None
    limits = [line.detail["limit"] for line in stores.audit.list(subject="queue:syncs", limit=9).items]
    assert limits == [None, 1]


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize("most", ["0", "two", "1.5", "²"])
def test_what_is_no_limit_is_refused(most: str) -> None:
    assert isinstance(CliRunner().invoke(queues, ["limit", "syncs", most]).exception, InvalidRequest)


def test_a_purge_ends_the_runs_and_says_how_many(stores: SqlStores, redis_url: str, namespace: str) -> None:
    broker = open_sender(redis_url, namespace=namespace)
    publisher = Publisher(broker, runs=stores.runs, presets=lambda: ("full",), clock=SystemClock())
    receipt = publisher.send(parse({"actor": "sync_club", "account_id": 42}))
    said = CliRunner().invoke(queues, ["purge", "syncs", "--yes"])
    assert said.stdout == "1 message deleted from syncs; 1 run cancelled\n"
    run = stores.runs.find(receipt.run_id or "")
    (line,) = stores.audit.list(subject="queue:syncs", limit=9).items
    assert (run.state, line.detail) == (RunState.CANCELLED, {"count": 1, "runs": 1})
    assert run.message == f"cancelled by {line.actor}, who purged the queue syncs"
    broker.close()
    broker.client.close()
