from __future__ import annotations

import pytest

from notifications.notice import SEVERITIES, event_of, notice_of
from settings.events import EVENTS
from sync.incident import Severity
from sync.report import Mode, Outcome, RunState, Stage, StageReport
from tests.unit.notifications.builders import finished


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("state", [state for state in RunState if state in SEVERITIES])
@pytest.mark.parametrize("dry_run", [True, False])
def test_every_end_of_a_run_has_a_route(mode: Mode, state: RunState, dry_run: bool) -> None:  # noqa: FBT001  a parameter of the test
    assert event_of(finished(mode=mode, state=state, dry_run=dry_run)) in EVENTS


def test_a_success_is_told_with_who_what_and_how_much() -> None:
    notice = notice_of(finished(), name="Northside CC")
    assert notice.subject == "Sync of club 3 (Northside CC) succeeded"
    assert notice.severity is Severity.INFO
    assert notice.text.splitlines() == [
        "Sync of club 3 (Northside CC) succeeded",
        (
            "12 records read, 2 created, 1 updated, 0 removed, 0 quarantined; 9 s, preset full, run r1, "
            "2026-11-23T03:00:09Z"
        ),
    ]


def test_a_failure_is_told_with_the_error_and_the_stage() -> None:
    run = finished(
        mode=Mode.CLUB_DIRECT,
        account_id=None,
        state=RunState.FAILED,
        message="PlayHQ refused the key",
        stages={
            Stage.TEAMS: StageReport(outcome=Outcome.PARTIAL, message="2 teams were refused"),
            Stage.GAMES: StageReport(outcome=Outcome.FAILED, message="PlayHQ refused the key"),
        },
    )
    notice = notice_of(run)
    assert notice.event == "direct_failed"
    assert notice.severity is Severity.ERROR
    assert notice.text.splitlines()[:3] == [
        "Direct sync of club o1 failed",
        "teams: partial: 2 teams were refused",
        "PlayHQ refused the key",
    ]
    assert notice.fields["organisation_id"] == "o1"
    assert notice.fields["message"] == "PlayHQ refused the key"


def test_a_dry_run_says_so() -> None:
    assert notice_of(finished(dry_run=True)).subject == "Dry run: sync of club 3 succeeded"


def test_a_run_that_failed_before_it_started_can_be_told() -> None:
    run = finished(state=RunState.FAILED, started_at=None, stages={}, message="unknown preset")
    assert "0 records read" in notice_of(run).text
