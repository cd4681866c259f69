"""What of a run the CMS has not got: changes that wait for it, and those that it refused at last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sync.changes import Action, counts_of
from sync.outbox import OutboxCms, Refusal
from sync.ports import Cms
from sync.report import Outcome, Stage, StageReport


@dataclass(frozen=True, slots=True)
class Undelivered:
    """Of one stage."""

    waiting: int = 0
    refusals: Sequence[Refusal] = ()


NOTHING = Undelivered()


def undelivered_of(cms: Cms, run_id: str) -> Mapping[Stage, Undelivered]:
    """By stage; of a CMS that cannot be away, nothing."""
    if not isinstance(cms, OutboxCms):
        return {}
    refusals: dict[Stage, list[Refusal]] = defaultdict(list)
    for refusal in cms.outbox.refusals(run_id):
        refusals[refusal.stage].append(refusal)
    waiting = cms.outbox.count_waiting(run_id)
    return {
        stage: Undelivered(waiting.get(stage, 0), refusals.get(stage, ()))
        for stage in waiting.keys() | refusals.keys()
    }


def with_undelivered(report: StageReport, left: Undelivered) -> StageReport:
    """The report of a stage whose writes the CMS may not all have got: then it has not succeeded (yet)."""
    if left == NOTHING:
        return report
    not_written = left.waiting + len(left.refusals)
    return _marked(replace(report, unchanged=max(0, report.unchanged - not_written)), left)


def after_delivery(report: StageReport, written: Mapping[Action, int], left: Undelivered) -> StageReport:
    """The report once nothing waits any more; `written` counts all of the stage's changes."""
    outcome = Outcome.SUCCEEDED if report.is_only_waiting else report.outcome
    delivered = replace(
        report,
        outcome=outcome,
        waiting=0,
        refused=0,
        refusal=None,
        is_only_waiting=False,
        **counts_of(written),
    )
    return delivered if left == NOTHING else _marked(delivered, left)


def _marked(report: StageReport, left: Undelivered) -> StageReport:
    is_only_waiting = report.outcome is Outcome.SUCCEEDED
    return replace(
        report,
        outcome=Outcome.PARTIAL if is_only_waiting else report.outcome,
        waiting=left.waiting,
        refused=len(left.refusals),
        refusal=_described(left.refusals[0]) if left.refusals else None,
        is_only_waiting=is_only_waiting,
    )


def _described(refusal: Refusal) -> str:
    return f"{refusal.change.kind} {refusal.change.record_id}: {refusal.reason}"
