"""Finished runs to tell about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sync.report import Mode, Outcome, Run, RunState, Stage, StageReport

AT = datetime(2026, 11, 23, 3, 0, 0, tzinfo=UTC)


def finished(**fields: Any) -> Run:
    """A sync of club 3 that succeeded, unless the fields say otherwise."""
    stages = {Stage.GAMES: StageReport(outcome=Outcome.SUCCEEDED, read=12, created=2, updated=1)}
    usual: dict[str, Any] = {
        "id": "r1",
        "mode": Mode.CLUB,
        "preset": "full",
        "state": RunState.SUCCEEDED,
        "requested_at": AT,
        "started_at": AT,
        "finished_at": AT.replace(second=9),
        "account_id": 3,
        "organisation_id": "o1",
        "stages": stages,
    }
    return Run(**(usual | fields))
