"""Carries out a held plan that a person approves, as a run of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Protocol

from sync.approval import Approval, hash_of, plan_approval
from sync.by_hand import judge, read_as_stored, write_stages
from sync.changes import Change
from sync.errors import InvalidRequest
from sync.model import Game
from sync.ports import Clock, Cms, Leases, Runs
from sync.report import Run, RunState, Stage

PRESET = "approval"


class HeldPlans(Protocol):
    def planned_of_run(self, run_id: str) -> Iterable[Change]:
        """What the run planned and did not write."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovalRun:
    cms: Cms
    runs: Runs
    held: HeldPlans
    leases: Leases
    clock: Clock
    # On how many days a game has to be missing before it may be removed at all.
    confirmations: int

    def plan(self, run_id: str, *, plan_hash: str | None = None) -> Approval:
        """What an approval of the run's held plan would write now, writing nothing.

        Raises NotFound, and InvalidRequest for a run that still works or holds nothing, or
        whose plan has another hash than `plan_hash`.
        """
        run = self.runs.find(run_id)
        if not run.state.is_final:
            raise InvalidRequest(f"run {run_id} is {run.state}: its plan is complete once it has ended")
        report = run.stages.get(Stage.FIXTURE_CLEANUP)
        if report is None or report.plan_hash is None:
            raise InvalidRequest(f"run {run_id} holds nothing back")
        if plan_hash not in (None, report.plan_hash):
            raise InvalidRequest(f"run {run_id} holds back plan {report.plan_hash}, not {plan_hash}")
        held = list(self.held.planned_of_run(run_id))
        if hash_of(held) != report.plan_hash:
            raise InvalidRequest(f"run {run_id} ended early, without keeping what it held back: sync again")
        stored, _ = read_as_stored(self.cms, held)
        return plan_approval(held, stored, self._count_absences(held), confirmations=self.confirmations)

    def perform(self, run_id: str, *, approval_id: str, plan_hash: str) -> tuple[Run, Approval]:
        """Write what is left of the plan with this hash; `approval_id` names the new run that does it.

        Raises what `plan` raises, InvalidRequest when nothing of the plan is left, and
        AccountBusy while another run writes to the organisation.
        """
        approved = self.runs.find(run_id)
        now = self.clock.now()
        run = Run(
            id=approval_id,
            mode=approved.mode,
            preset=PRESET,
            state=RunState.RUNNING,
            requested_at=now,
            started_at=now,
            account_id=approved.account_id,
            organisation_id=approved.organisation_id,
            provider=approved.provider,
        )
        key = f"{approved.provider}:{approved.organisation_id}"
        with self.leases.hold(key, owner=approval_id) as lease:
            approval = self.plan(run_id, plan_hash=plan_hash)
            if not approval.changes:
                raise InvalidRequest(f"nothing is left of what run {run_id} held back")
            self.runs.request(run)
            changes = {Stage.FIXTURE_CLEANUP: approval.changes}
            reports = write_stages(self.cms, approval_id, changes, fence=lease.fence)
            run = replace(
                run,
                state=judge(reports, approval.kept),
                finished_at=self.clock.now(),
                stages=reports,
                message=_summary(run_id, approval),
            )
            self.runs.save(run)
        return run, approval

    def _count_absences(self, held: Iterable[Change]) -> Mapping[str, int]:
        """On how many days each game has been missing, as recorded."""
        counts: dict[str, int] = {}
        by_grade: dict[str, list[str]] = {}
        for change in held:
            if isinstance(change.before, Game):
                by_grade.setdefault(change.before.grade_id, []).append(change.record_id)
        for grade_id, game_ids in by_grade.items():
            # The count includes the day it is asked for: one that is never recorded.
            counted = self.cms.count_absences(grade_id, missing=game_ids, day=date.min)
            counts.update({game_id: count - 1 for game_id, count in counted.items()})
        return counts


def _summary(run_id: str, approval: Approval) -> str:
    summary = f"approves plan {approval.plan_hash} of run {run_id}"
    return f"{summary}; {len(approval.kept)} records stay as they are" if approval.kept else summary
