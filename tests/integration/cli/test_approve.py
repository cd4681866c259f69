"""`clubsync runs approve` at a terminal and for programs."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from cli.runs import runs
from stores.sql.stores import SqlStores, open_stores
from sync.by_hand.approval import hash_of
from sync.clock import SystemClock
from sync.errors import InvalidRequest
from sync.plan import plan_removals
from sync.ports import Fence
from sync.report import Mode, Outcome, Run, RunState, Stage, StageReport
from tests.records import created, game, grade, season, team

HELD = plan_removals([game()], cause="missing from the fixture on 3 days").changes


@pytest.fixture
def stores(
    sqlite_engine: Engine, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> SqlStores:
    """A database where run `held` holds the removal of a game back."""
    monkeypatch.setenv("DATABASE_URL", str(sqlite_engine.url))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    stores = open_stores(sqlite_engine, SystemClock())
    cleanup = StageReport(outcome=Outcome.PARTIAL, held=1, plan_hash=hash_of(HELD))
    run = Run(
        id="held",
        mode=Mode.CLUB,
        preset="full",
        state=RunState.PARTIAL,
        requested_at=SystemClock().now(),
        account_id=1,
        organisation_id="club-1",
        provider="playhq",
        stages={Stage.FIXTURE_CLEANUP: cleanup},
        plan_hash=hash_of(HELD),
    )
    stores.runs.save(run)
    family = [created(record) for record in (season(), grade(), team("home"), team("away"), game())]
    stores.mirror.apply("held", Stage.GAMES, family, fence=Fence("playhq:club-1", 1))
    for day in range(3):
        stores.absences.record("grade-1", missing=["game-1"], present=[], day=date(2031, 10, 18 + day))
    stores.changes.record("held", Stage.FIXTURE_CLEANUP, HELD, is_applied=False)
    return stores


def test_approval_shows_the_diff_writes_it_and_is_audited(stores: SqlStores) -> None:
    result = CliRunner().invoke(runs, ["approve", "held", "--yes"], catch_exceptions=False)

    assert result.exit_code == 0
    assert "- game game-1 removed" in result.output
    assert f"plan {hash_of(HELD)}" in result.output
    assert "1 written, 0 left as they are" in result.output
    assert stores.mirror.read_games(["grade-1"]) == {}
    line = stores.audit.list(limit=1).items[0]
    assert (line.action, line.subject) == ("runs_approve", "run:held")
    assert line.detail["plan_hash"] == hash_of(HELD)


class Terminal(io.StringIO):
    """A person who types these lines."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("verb", ["approve", "undo"])
def test_person_who_says_no_changes_nothing(
    stores: SqlStores, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    with pytest.raises(InvalidRequest, match="nothing was written"):
        runs.main([verb, "held"], standalone_mode=False)
    assert stores.mirror.read_games(["grade-1"])["game-1"] == game()


def test_person_who_says_yes_gets_the_plan_written(
    stores: SqlStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    runs.main(["approve", "held"], standalone_mode=False)
    assert stores.mirror.read_games(["grade-1"]) == {}


def test_dry_approval_writes_nothing(stores: SqlStores) -> None:
    result = CliRunner().invoke(runs, ["approve", "held", "--dry-run", "--json"], catch_exceptions=False)

    document = json.loads(result.output)
    assert [change["record_id"] for change in document["changes"]] == ["game-1"]
    assert document["plan_hash"] == hash_of(HELD)
    assert stores.mirror.read_games(["grade-1"])["game-1"] == game()


def test_approval_for_programs_is_the_run_that_did_it(stores: SqlStores) -> None:
    arguments = ["approve", "held", "--hash", hash_of(HELD), "--json"]
    document = json.loads(CliRunner().invoke(runs, arguments, catch_exceptions=False).output)

    assert (document["preset"], document["outcome"]) == ("approval", "succeeded")
    assert document["stages"]["fixture-cleanup"]["removed"] == 1
    assert document["kept"] == []


def test_another_hash_writes_nothing(stores: SqlStores) -> None:
    with pytest.raises(InvalidRequest, match="has plan"):
        CliRunner().invoke(runs, ["approve", "held", "--hash", "0123", "--yes"], catch_exceptions=False)
    assert stores.mirror.read_games(["grade-1"])["game-1"] == game()


def test_approval_is_undone_like_any_run(stores: SqlStores) -> None:
    arguments = ["approve", "held", "--yes", "--json"]
    approval = json.loads(CliRunner().invoke(runs, arguments, catch_exceptions=False).output)
    CliRunner().invoke(runs, ["undo", approval["id"], "--yes"], catch_exceptions=False)

    assert stores.mirror.read_games(["grade-1"])["game-1"] == game()


def test_a_run_shows_what_it_holds_back_apart(stores: SqlStores) -> None:
    output = CliRunner().invoke(runs, ["show", "held"], catch_exceptions=False).output

    written, held = output.split("held back; clubsync runs approve held writes:")
    assert "game-1 removed" not in written
    assert "game-1 removed" in held


def test_a_second_approval_says_who_was_first_and_writes_nothing(stores: SqlStores) -> None:
    CliRunner().invoke(runs, ["approve", "held", "--yes"], catch_exceptions=False)
    result = CliRunner().invoke(runs, ["approve", "held", "--yes"], catch_exceptions=False)

    assert result.exit_code == 0
    assert "approved already by cli:" in result.output
    assert len(stores.audit.list(limit=10).items) == 1


def test_a_rejected_plan_cannot_be_approved_any_more(stores: SqlStores) -> None:
    result = CliRunner().invoke(runs, ["reject", "held", "--yes"], catch_exceptions=False)
    assert f"plan {hash_of(HELD)} was rejected by cli:" in result.output
    assert stores.audit.list(limit=1).items[0].action == "runs_reject"

    with pytest.raises(InvalidRequest, match="rejected by cli:"):
        CliRunner().invoke(runs, ["approve", "held", "--yes"], catch_exceptions=False)
    assert "rejected by" in CliRunner().invoke(runs, ["show", "held"], catch_exceptions=False).output
    assert stores.mirror.read_games(["grade-1"])["game-1"] == game()
