"""An invented notice of each event, for looking at words before anything happened."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from notifications.incidents import subject_of, text_of
from notifications.notice import ALERT, BATCH_FINISHED, SEVERITIES, Notice, notice_of
from sync.causes import Cause, Party
from sync.incident import Alert, Incident, Severity
from sync.report import Mode, Outcome, Run, RunState, Stage, StageReport

MODES = {
    "sync": Mode.CLUB,
    "dry_run": Mode.CLUB,
    "direct": Mode.CLUB_DIRECT,
    "update": Mode.UPDATE,
    "onboarding": Mode.ONBOARDING,
}


def sample(event: str, now: datetime) -> Notice:
    """`event` is one of `settings.events.EVENTS`."""
    if event == ALERT:
        return _alert(now)
    if event == BATCH_FINISHED:
        subject = f"Batch nightly of {now:%Y-%m-%d}: 497 succeeded, 2 partial, 1 failed of 500 accounts"
        text = f"{subject}\nWhy:\n• 1: provider down (them: the provider)\nSlowest: Northside CC 41 s"
        return Notice(event, "sample", Severity.WARNING, subject, text, {})
    kind, _, state = event.rpartition("_")
    return notice_of(_run(kind, RunState(state), now), name="Northside CC")


def _run(kind: str, state: RunState, now: datetime) -> Run:
    run = Run(
        id="5f0c2f8e6f6d4f0f9d1f6f3f1f0a9b21",
        mode=MODES[kind],
        preset="full",
        state=state,
        requested_at=now - timedelta(seconds=20),
        started_at=now - timedelta(seconds=9),
        finished_at=now,
        account_id=None if kind == "direct" else 3,
        organisation_id="8f1f3c9e-5a0b-4b63-9d0f-2f6f6d1f7a10",
        provider="playhq",
        dry_run=kind == "dry_run",
        stages={Stage.GAMES: StageReport(outcome=Outcome.SUCCEEDED, read=312, created=2, updated=5)},
    )
    if SEVERITIES[state] is Severity.INFO:
        return run
    message = "fetch fixture of grade A: the provider failed (503)"
    return replace(run, message=message, cause=Cause.PROVIDER_DOWN)


def _alert(now: datetime) -> Notice:
    what = "312 runs of 300 accounts of playhq did not succeed (provider down), 12 went well."
    opened_at = now - timedelta(minutes=12)
    alert = Alert(
        kind="runs_failing",
        severity=Severity.ERROR,
        what=what,
        step="Look at the provider's status page.",
        since=opened_at,
        is_open=True,
    )
    incident = Incident(
        id="sample",
        key="provider:playhq",
        severity=Severity.ERROR,
        title=what,
        party=Party.PROVIDER,
        alerts=(alert,),
        first_seen_at=opened_at,
        seen_at=now,
        opened_at=opened_at,
        count=312,
    )
    return Notice(
        ALERT,
        "sample",
        Severity.ERROR,
        subject_of(incident),
        text_of(incident, now),
        {"change": what},
        incident_id=incident.id,
        change=what,
    )
