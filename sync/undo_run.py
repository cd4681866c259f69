"""Carries out an undo as a run of its own, so that it is listed, told apart and undoable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sync.by_hand import judge, read_as_stored, write_stages
from sync.changes import Change
from sync.errors import InvalidRequest
from sync.model import RecordKind
from sync.ports import Clock, Cms, Leases, Runs
from sync.report import Run, RunState, Stage
from sync.undo import Undo, plan_undo

PRESET = "undo"

_STAGE_OF: Mapping[RecordKind, Stage] = {
    RecordKind.SEASON: Stage.COMPETITIONS,
    RecordKind.GRADE: Stage.COMPETITIONS,
    RecordKind.TEAM: Stage.TEAMS,
    RecordKind.GAME: Stage.GAMES,
    RecordKind.LADDER: Stage.GAMES,
}


class History(Protocol):
    def applied_of_run(self, run_id: str) -> Iterable[Change]:
        """What the run wrote, oldest first."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoRun:
    cms: Cms
    runs: Runs
    history: History
    leases: Leases
    clock: Clock

    def plan(self, run_id: str) -> Undo:
        """The way back, writing nothing.

        Raises NotFound, and InvalidRequest for a run that still works or wrote nothing.
        """
        run = self.runs.find(run_id)
        if not run.state.is_final:
            raise InvalidRequest(f"run {run_id} is {run.state}: it can be undone once it has ended")
        history = list(self.history.applied_of_run(run_id))
        if not history:
            raise InvalidRequest(f"run {run_id} wrote nothing")
        stored, removed = read_as_stored(self.cms, history)
        return plan_undo(history, stored, removed, cause=f"undo of {run_id}")

    def perform(self, run_id: str, *, undo_id: str) -> tuple[Run, Undo]:
        """Restore what the run changed; `undo_id` names the new run that does it.

        Raises what `plan` raises, and AccountBusy while another run writes to the organisation.
        """
        undone = self.runs.find(run_id)
        now = self.clock.now()
        run = Run(
            id=undo_id,
            mode=undone.mode,
            preset=PRESET,
            state=RunState.RUNNING,
            requested_at=now,
            started_at=now,
            account_id=undone.account_id,
            organisation_id=undone.organisation_id,
            provider=undone.provider,
        )
        with self.leases.hold(f"{undone.provider}:{undone.organisation_id}", owner=undo_id) as lease:
            undo = self.plan(run_id)
            self.runs.request(run)
            reports = write_stages(self.cms, undo_id, _by_stage(undo.changes), fence=lease.fence)
            run = replace(
                run,
                state=judge(reports, undo.kept),
                finished_at=self.clock.now(),
                stages=reports,
                message=_summary(run_id, undo),
            )
            self.runs.save(run)
        return run, undo


def _by_stage(changes: Iterable[Change]) -> Mapping[Stage, Sequence[Change]]:
    by_stage: dict[Stage, list[Change]] = defaultdict(list)
    for change in changes:
        by_stage[_STAGE_OF[change.kind]].append(change)
    return by_stage


def _summary(run_id: str, undo: Undo) -> str:
    summary = f"undoes run {run_id}"
    return f"{summary}; {len(undo.kept)} records stay as they are" if undo.kept else summary
