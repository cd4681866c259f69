"""Carries out an undo as a run of its own, so that it is listed, told apart and undoable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from sync.by_hand.run import Act, ByHandRun, Choice
from sync.by_hand.undo import Undo, plan_undo
from sync.by_hand.writing import read_as_stored
from sync.changes import Change
from sync.counting import counted_stay
from sync.errors import InvalidRequest
from sync.model import RecordKind
from sync.report import Stage

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
    by_hand: ByHandRun
    history: History

    def plan(self, run_id: str) -> Choice:
        """The way back, writing nothing.

        Raises NotFound, and InvalidRequest for a run that still works or wrote nothing.
        """
        run = self.by_hand.find_ended(run_id)
        history = list(self.history.applied_of_run(run_id))
        if not history:
            raise InvalidRequest(f"run {run_id} wrote nothing")
        stored, removed = read_as_stored(self.by_hand.cms, history)
        undo = plan_undo(history, stored, removed, cause=f"undo of {run.id}")
        return Choice(changes=_by_stage(undo.changes), kept=undo.kept, summary=_summary(run_id, undo))

    def undo(self, run_id: str) -> Act:
        """Restore what the run changed, except what was edited since.

        With nothing left to restore no run is made. Raises what `plan` raises, and
        AccountBusy while another run writes to the organisation.
        """
        of = self.by_hand.find_ended(run_id)

        with self.by_hand.hold(of) as lease:
            choice = self.plan(run_id)
            run = self.by_hand.find_interrupted(of, PRESET)
            if run is None and not choice.all_changes:
                return Act(run=None, choice=choice, is_repeat=True)
            run = self.by_hand.write(run or self.by_hand.new_run(of, PRESET), choice, lease)
            return Act(run=run, choice=choice)


def _by_stage(changes: Iterable[Change]) -> Mapping[Stage, Sequence[Change]]:
    by_stage: dict[Stage, list[Change]] = defaultdict(list)
    for change in changes:
        by_stage[_STAGE_OF[change.kind]].append(change)
    return by_stage


def _summary(run_id: str, undo: Undo) -> str:
    summary = f"undoes run {run_id}"
    return f"{summary}; {counted_stay(len(undo.kept), 'record')}" if undo.kept else summary
