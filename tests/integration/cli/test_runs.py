"""`clubsync runs show`, `undo` and `retry` at a terminal and for programs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from click.testing import CliRunner
from sqlalchemy import Engine

from cli.runs import runs
from stores.redis.progress import Progress
from stores.sql.outbox import SqlOutbox
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.ports import Fence, Progressed
from sync.report import Mode, Run, RunState, Stage
from tests.records import created, game, grade, season, team, updated


@pytest.fixture
def stores(
    sqlite_engine: Engine, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> SqlStores:
    """A database where run `bad` has renamed a round."""
    monkeypatch.setenv("DATABASE_URL", str(sqlite_engine.url))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    stores = open_stores(sqlite_engine, SystemClock())
    fence = Fence("playhq:club-1", 1)
    for run_id, changes in (
        ("first", [created(record) for record in (season(), grade(), team("home"), team("away"), game())]),
        ("bad", [updated(game(), game(round="Final"))]),
    ):
        stores.runs.save(
            Run(
                id=run_id,
                mode=Mode.CLUB,
                preset="full",
                state=RunState.SUCCEEDED,
                requested_at=SystemClock().now(),
                account_id=1,
                organisation_id="club-1",
                provider="playhq",
            )
        )
        assert stores.mirror.apply(run_id, Stage.GAMES, changes, fence=fence) == []
    return stores


def test_undo_restores_and_shows_the_diff(stores: SqlStores) -> None:
    result = CliRunner().invoke(runs, ["undo", "bad"], catch_exceptions=False)

    assert result.exit_code == 0
    assert 'round: "Final" → "Round 3"' in result.output
    assert "1 taken back, 0 left as they are" in result.output
    assert stores.mirror.read_games(["grade-1"])["game-1"] == game()
    assert stores.audit.list(limit=1).items[0].action == "runs_undo"


def test_dry_undo_writes_nothing(stores: SqlStores) -> None:
    result = CliRunner().invoke(runs, ["undo", "bad", "--dry-run", "--json"], catch_exceptions=False)

    assert [change["record_id"] for change in json.loads(result.output)["changes"]] == ["game-1"]
    assert stores.mirror.read_games(["grade-1"])["game-1"] == game(round="Final")


def test_undo_for_programs_is_the_run_that_did_it(stores: SqlStores) -> None:
    result = CliRunner().invoke(runs, ["undo", "bad", "--json"], catch_exceptions=False)
    document = json.loads(result.output)

    assert (document["preset"], document["outcome"]) == ("undo", "succeeded")
    assert stores.runs.find(document["id"]).message == "undoes run bad"
    assert document["kept"] == []


def test_undoing_twice_says_that_nothing_is_left(stores: SqlStores) -> None:
    CliRunner().invoke(runs, ["undo", "bad", "--yes"], catch_exceptions=False)
    result = CliRunner().invoke(runs, ["undo", "bad", "--yes"], catch_exceptions=False)

    assert result.exit_code == 0
    assert "nothing is left to take back of run bad" in result.output
    assert len(stores.audit.list(limit=10).items) == 1


def test_what_the_cms_refused_is_shown_and_brought_there_again(stores: SqlStores) -> None:
    outbox = SqlOutbox(stores.engine, SystemClock(), max_records=10)
    changes = [updated(game(round="Final"), game(round="Semi"))]
    outbox.put("bad", Stage.GAMES, changes, fence=Fence("playhq:club-1", 1))
    outbox.refuse([(one, "no such round") for one in outbox.first(10)])
    shown = CliRunner().invoke(runs, ["show", "bad"], catch_exceptions=False)
    first = CliRunner().invoke(runs, ["retry", "bad"], catch_exceptions=False)
    second = CliRunner().invoke(runs, ["retry", "bad", "--json"], catch_exceptions=False)

    assert "! game game-1 updated: no such round" in shown.output
    assert first.output.startswith("1 changes wait for the CMS again")
    assert json.loads(second.output)["count"] == 0
    assert [one.change.record_id for one in outbox.first(10)] == ["game-1"]
    assert stores.audit.list(limit=1).items[0].action == "runs_retry"


def test_a_run_at_work_tells_how_far_it_is(
    stores: SqlStores, redis_client: redis.Redis, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    stores.runs.save(replace(stores.runs.find("bad"), id="live", state=RunState.RUNNING))
    event = Progressed(run_id="live", stage=Stage.GAMES, done=12, total=40, records=1610, eta_s=7.5)
    Progress(redis_client, namespace).publish(event)
    shown = CliRunner().invoke(runs, ["show", "live"], catch_exceptions=False)
    document = json.loads(CliRunner().invoke(runs, ["show", "live", "--json"], catch_exceptions=False).output)

    assert "games: 12 of 40 done, 1,610 records read, about 8 s left" in shown.output
    assert document["progress"] == [
        {"stage": "games", "done": 12, "total": 40, "records": 1610, "eta_s": 7.5}
    ]
