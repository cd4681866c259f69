"""Carries out an undo as a run of its own, so that it is listed, told apart and undoable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from sync.changes import Action, Change
from sync.errors import InvalidRequest
from sync.model import Game, Grade, Ladder, Record, RecordKind, Season, Team
from sync.ports import Clock, Cms, Fence, Leases, Runs
from sync.report import Outcome, Run, RunState, Stage, StageReport
from sync.undo import Key, Undo, plan_undo

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
        stored, removed = self._read_now(history)
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
            reports = self._apply(undo_id, undo, lease.fence)
            outcome = Outcome.PARTIAL if undo.kept or _has_refused(reports) else Outcome.SUCCEEDED
            run = replace(
                run,
                state=RunState(outcome.value),
                finished_at=self.clock.now(),
                stages=reports,
                message=_summary(run_id, undo),
            )
            self.runs.save(run)
        return run, undo

    def _apply(self, undo_id: str, undo: Undo, fence: Fence) -> Mapping[Stage, StageReport]:
        by_stage: dict[Stage, list[Change]] = defaultdict(list)
        for change in undo.changes:
            by_stage[_STAGE_OF[change.kind]].append(change)
        reports = {}
        for stage in Stage:
            if changes := by_stage[stage]:
                refused = self.cms.apply(undo_id, stage, changes, fence=fence)
                reports[stage] = self._report(undo_id, stage, read=len(changes), refused=len(refused))
        return reports

    def _report(self, undo_id: str, stage: Stage, *, read: int, refused: int) -> StageReport:
        written = self.cms.count_changes(undo_id).get(stage, {})
        return StageReport(
            outcome=Outcome.PARTIAL if refused else Outcome.SUCCEEDED,
            read=read,
            updated=written.get(Action.UPDATED, 0) + written.get(Action.RESTORED, 0),
            removed=written.get(Action.REMOVED, 0),
            quarantined=refused,
        )

    def _read_now(self, history: Sequence[Change]) -> tuple[Mapping[Key, Record], Mapping[str, Game]]:
        ids: dict[str, set[str]] = defaultdict(set)
        for change in history:
            record = change.after or change.before
            if record is not None:
                ids[change.kind].add(_place(record))
        stored: dict[Key, Record] = {}
        for kind, read in (
            (RecordKind.SEASON, self.cms.read_seasons),
            (RecordKind.GRADE, self.cms.read_grades),
            (RecordKind.TEAM, self.cms.read_teams),
            (RecordKind.GAME, self.cms.find_games),
            (RecordKind.LADDER, self.cms.read_ladders),
        ):
            found: Mapping[str, Record] = read(ids[kind])
            stored.update({(kind, record_id): record for record_id, record in found.items()})
        return stored, self.cms.read_removed_games(ids[RecordKind.GAME])


def _place(record: Record) -> str:
    """What the CMS finds the record by: a game by its id, others by what holds them."""
    match record:
        case Game():
            return record.id
        case Season():
            return record.association_id
        case Grade() | Team():
            return record.season_id
        case Ladder():
            return record.grade_id


def _has_refused(reports: Mapping[Stage, StageReport]) -> bool:
    return any(report.quarantined for report in reports.values())


def _summary(run_id: str, undo: Undo) -> str:
    summary = f"undoes run {run_id}"
    return f"{summary}; {len(undo.kept)} records stay as they are" if undo.kept else summary
