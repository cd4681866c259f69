"""Following a run from the command line."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import pytest

from brokers.messages import parse
from brokers.operations import Operations
from cli.backend import Backend
from cli.waiting import Waiting, follow
from stores.sql.accounts import NewAccount
from sync.model import OrganisationKind
from sync.report import Mode, Outcome, Run, RunState, Stage, StageReport


def test_a_stage_that_failed_is_not_shown_as_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    now = datetime(2031, 10, 20, tzinfo=UTC)
    backend = Backend()
    backend.stores.runs.save(
        Run(
            id="tried-again",
            mode=Mode.ASSOCIATION_DIRECT,
            preset="full",
            state=RunState.RUNNING,
            requested_at=now,
            started_at=now,
            organisation_id="some-association",
            stages={
                Stage.COMPETITIONS: StageReport(outcome=Outcome.SUCCEEDED),
                Stage.TEAMS: StageReport(outcome=Outcome.PARTIAL),
                Stage.GAMES: StageReport(outcome=Outcome.FAILED),
                Stage.FIXTURE_VALIDATION: StageReport(outcome=Outcome.SKIPPED),
            },
        )
    )
    assert not follow(backend, "tried-again", Waiting(timeout_s=0.2, is_json=False, note="run"))
    assert "  running: competitions, teams done\n" in capsys.readouterr().err


def test_who_waits_in_vain_is_told_why(
    redis_url: str,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    monkeypatch.setenv("CLUBSYNC_REDIS__NAMESPACE", namespace)
    monkeypatch.setattr("cli.waiting.WHY_AFTER_S", 0.0)
    backend = Backend()
    account = backend.stores.accounts.add(
        NewAccount(
            kind=OrganisationKind.CLUB, name="Rovers", provider="playhq", organisation_id=str(uuid.uuid4())
        )
    )
    Operations(backend.broker).pause("syncs")
    receipt = backend.publisher.send(parse({"actor": "sync_club", "account_id": account.id}))
    assert not follow(backend, receipt.run_id or "", Waiting(timeout_s=0.2, is_json=False, note="run"))
    assert "  queued: The queue syncs is paused" in capsys.readouterr().err
