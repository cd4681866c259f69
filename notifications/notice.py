"""What is said, and about a finished run in particular; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sync.incident import Severity
from sync.report import Mode, Outcome, Run, RunState, StageReport


@dataclass(frozen=True, slots=True)
class Notice:
    """One event as text for people and as fields for programs.

    `key` is the same for each attempt, so that a receiver can tell a repetition. Those of
    one `incident_id` belong together; `change` is what happened to it, in a line for its
    thread, and None when only its counts changed.
    """

    event: str
    key: str
    severity: Severity
    subject: str
    text: str
    fields: Mapping[str, Any]
    run_id: str | None = None
    incident_id: str | None = None
    change: str | None = None


# Events beside the ends of runs; see `settings.events.EVENTS`.
BATCH_FINISHED = "batch_finished"
ALERT = "alert"

SEVERITIES: Mapping[RunState, Severity] = {
    RunState.SUCCEEDED: Severity.INFO,
    RunState.PARTIAL: Severity.WARNING,
    RunState.FAILED: Severity.ERROR,
}


def event_of(run: Run) -> str:
    """What its end is called in the routes, such as `direct_failed`. The run is finished."""
    if run.dry_run:
        kind = "dry_run"
    elif run.mode.is_direct:
        kind = "direct"
    elif run.mode in (Mode.UPDATE, Mode.ONBOARDING):
        kind = run.mode.value
    else:
        kind = "sync"
    return f"{kind}_{run.state.value}"


def key_of(run_id: str, event: str) -> str:
    """One notice for each end of a run."""
    return f"{run_id}:{event}"


def notice_of(run: Run, *, name: str | None = None) -> Notice:
    """Put a finished run into words; `name` is the account's or organisation's."""
    event = event_of(run)
    subject = f"{_deed(run)} of {_who(run, name)} {_verdict(run)}"
    lines = [subject, *_stage_lines(run)]
    if run.message:
        lines.append(run.message)
    lines.append(_facts(run))
    return Notice(
        event=event,
        key=key_of(run.id, event),
        subject=subject,
        text="\n".join(lines),
        severity=SEVERITIES[run.state],
        fields=_fields(run, event, name),
        run_id=run.id,
    )


def _deed(run: Run) -> str:
    deed = {
        Mode.ONBOARDING: "Onboarding",
        Mode.UPDATE: "Update",
        Mode.CLUB_DIRECT: "Direct sync",
        Mode.ASSOCIATION_DIRECT: "Direct sync",
    }.get(run.mode, "Sync")
    return f"Dry run: {deed.lower()}" if run.dry_run else deed


def _who(run: Run, name: str | None) -> str:
    kind = {
        Mode.CLUB: "club",
        Mode.CLUB_DIRECT: "club",
        Mode.ASSOCIATION: "association",
        Mode.ASSOCIATION_DIRECT: "association",
    }.get(run.mode, "account")
    identifier = run.organisation_id if run.mode.is_direct else run.account_id
    return f"{kind} {identifier} ({name})" if name else f"{kind} {identifier}"


def _verdict(run: Run) -> str:
    return {Outcome.SUCCEEDED: "succeeded", Outcome.PARTIAL: "succeeded only in part"}.get(
        run.outcome or Outcome.FAILED, "failed"
    )


def _stage_lines(run: Run) -> list[str]:
    """The stages that did not succeed, with their reasons."""
    return [
        f"{stage.value}: {report.outcome.value}" + (f": {report.message}" if report.message else "")
        for stage, report in run.stages.items()
        if report.outcome in (Outcome.PARTIAL, Outcome.FAILED) and report.message != run.message
    ]


def _facts(run: Run) -> str:
    counts = _counts(run)
    written = ", ".join(f"{count} {word}" for word, count in counts.items() if word != "read")
    took = f"{run.duration_s:.0f} s, " if run.duration_s is not None else ""
    at = _iso(run.finished_at or run.requested_at)
    return f"{counts['read']} records read, {written}; {took}preset {run.preset}, run {run.id}, {at}"


def _counts(run: Run) -> dict[str, int]:
    stages: list[StageReport] = list(run.stages.values())
    words = ("read", "created", "updated", "removed", "quarantined")
    return {word: sum(getattr(stage, word) for stage in stages) for word in words}


def _fields(run: Run, event: str, name: str | None) -> dict[str, Any]:
    return {
        "event": event,
        "run_id": run.id,
        "mode": run.mode.value,
        "preset": run.preset,
        "outcome": run.outcome.value if run.outcome else None,
        "dry_run": run.dry_run,
        "account_id": run.account_id,
        "organisation_id": run.organisation_id,
        "provider": run.provider,
        "batch_id": run.batch_id,
        "name": name,
        "message": run.message,
        "cause": run.cause.value if run.cause else None,
        "counts": _counts(run),
        "duration_s": run.duration_s,
        "finished_at": _iso(run.finished_at) if run.finished_at else None,
    }


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
