"""A run's verdict: the worst outcome of its stages, and the sentence that tells why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sync.errors import SyncError
from sync.report import Outcome, RunState, Stage, StageReport

_SEVERITY = (Outcome.SUCCEEDED, Outcome.PARTIAL, Outcome.FAILED)


def verdict_of(reports: Mapping[Stage, StageReport]) -> RunState:
    """The worst outcome; skipped stages do not count."""
    worst = max(
        (report.outcome for report in reports.values() if report.outcome is not Outcome.SKIPPED),
        key=_SEVERITY.index,
        default=Outcome.SUCCEEDED,
    )
    return RunState(worst.value)


def what_is_partial(reports: Mapping[Stage, StageReport]) -> str | None:
    """Which stages did part of their work, and why; None when none did."""
    reasons = [
        f"{stage}: {'; '.join(_reasons(report))}"
        for stage, report in reports.items()
        if report.outcome is Outcome.PARTIAL
    ]
    return "; ".join(reasons) or None


def has_results(reports: Mapping[Stage, StageReport]) -> bool:
    """Whether anything was read or stored before the run was given up."""
    return any(report.read or report.created or report.updated for report in reports.values())


def describe(error: BaseException) -> str:
    """Our own errors are sentences; of a bug or an interrupt, the name tells most."""
    return str(error) if isinstance(error, SyncError) else f"{type(error).__name__}: {error}"


def _reasons(report: StageReport) -> Iterator[str]:
    if report.waiting:
        yield f"{report.waiting} changes wait until the CMS is back"
    if report.refused:
        others = f", and {report.refused - 1} more" if report.refused > 1 else ""
        yield f"the CMS refused what waited for it: {report.refusal}{others}"
    if report.message:
        yield report.message
