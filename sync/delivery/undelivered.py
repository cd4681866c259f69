"""What of a run the CMS has not got: changes that wait for it, and those that it refused at last."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sync.changes import Action, counts_of
from sync.delivery.outbox import OutboxCms, Refusal, Waiting
from sync.model import Game, RecordKind, Team
from sync.ports import Cms
from sync.report import Outcome, Stage, StageReport
from sync.scope import Scope


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


def wait_along(cms: Cms, run_id: str, scope: Scope) -> None:
    """Let the run wait for what earlier runs left waiting in its scope, as for its own.

    It has read those records as they will be, and so planned nothing for them.
    """
    if not isinstance(cms, OutboxCms) or cms.outbox.is_empty():
        return
    grade_ids = {grade.id for grade in scope.grades_in_scope()}
    parents: Mapping[RecordKind, Collection[str]] = {
        RecordKind.SEASON: {association.id for association in scope.associations},
        RecordKind.GRADE: scope.seasons,
        RecordKind.TEAM: scope.seasons,
        RecordKind.GAME: grade_ids,
        RecordKind.LADDER: grade_ids,
    }
    found = [
        one
        for kind, parent_ids in parents.items()
        for one in cms.outbox.read(kind, (), parent_ids=parent_ids).values()
        if one.run_id != run_id
    ]
    own_team_ids = scope.own_team_ids()
    cms.outbox.share(run_id, [one for one in found if _is_wanted(one, scope, own_team_ids, grade_ids)])


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


def _is_wanted(
    waiting: Waiting, scope: Scope, own_team_ids: Collection[str], grade_ids: Collection[str]
) -> bool:
    """Whether the run would have planned the record: of a club not every team and game of its seasons."""
    record = waiting.change.after or waiting.change.before
    if scope.is_club and isinstance(record, Game):
        return not {record.home_id, record.away_id}.isdisjoint(own_team_ids)
    if scope.is_club and isinstance(record, Team):
        return scope.is_own(record) or record.grade_id in grade_ids
    return True


def _described(refusal: Refusal) -> str:
    return f"{refusal.change.kind} {refusal.change.record_id}: {refusal.reason}"
