"""A run that a person starts to write what was chosen before: an approval, an undo.

Under the lease that syncs take too, and as a run of its own, so that it is listed, told
apart and undoable. Interrupted, it is taken up again by whoever asks for the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Protocol
from uuid import uuid4

from sync.by_hand.writing import Kept, judge, write_stages
from sync.changes import Change
from sync.errors import InvalidRequest, LeaseLost, SyncError
from sync.ports import Clock, Cms, Lease, Leases, Runs
from sync.report import Run, RunState, Stage


class Acts(Runs, Protocol):
    def find_act(self, of_run_id: str, preset: str) -> Run | None:
        """The latest run of this preset that was started by hand for the run."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What is written, by stage, and which records stay as they are; `summary` tells it in a line."""

    changes: Mapping[Stage, Sequence[Change]]
    kept: Sequence[Kept] = ()
    summary: str = ""

    @property
    def all_changes(self) -> Sequence[Change]:
        return [change for changes in self.changes.values() for change in changes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What was asked for by hand; `is_repeat` when an earlier act had done it already.

    `run` is None when there was nothing to write.
    """

    run: Run | None
    choice: Choice
    is_repeat: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ByHandRun:
    """What approval and undo share: lease, run record, writing, verdict."""

    cms: Cms
    runs: Acts
    leases: Leases
    clock: Clock

    def find_ended(self, run_id: str) -> Run:
        """Raises NotFound, and InvalidRequest for a run that still works."""
        run = self.runs.find(run_id)
        if not run.state.is_final:
            raise InvalidRequest(f"run {run_id} is {run.state}: it can be decided about once it has ended")
        return run

    def hold(self, of: Run) -> AbstractContextManager[Lease]:
        """The lease of the run's organisation. Raises AccountBusy while another run writes to it."""
        # Not a run's id: two people who take up the same run must exclude each other.
        return self.leases.hold(f"{of.provider}:{of.organisation_id}", owner=uuid4().hex)

    def find_interrupted(self, of: Run, preset: str) -> Run | None:
        """The run that somebody began for the same and that did not end."""
        act = self.runs.find_act(of.id, preset)
        return act if act is not None and not act.state.is_final else None

    def new_run(self, of: Run, preset: str) -> Run:
        """A run of the same organisation that is not recorded yet."""
        now = self.clock.now()
        return Run(
            id=uuid4().hex,
            mode=of.mode,
            preset=preset,
            state=RunState.RUNNING,
            requested_at=now,
            started_at=now,
            account_id=of.account_id,
            organisation_id=of.organisation_id,
            provider=of.provider,
            of_run_id=of.id,
        )

    def write(self, run: Run, choice: Choice, lease: Lease) -> Run:
        """Write what was chosen and save the verdict.

        Raises what the CMS raises; then the run is deferred, and goes on when the same is
        asked for again.
        """
        run = replace(run, state=RunState.RUNNING, message=choice.summary)
        self.runs.request(run)
        self.runs.save(run)
        try:
            reports = write_stages(self.cms, run.id, choice.changes, lease)
        except LeaseLost:
            raise
        except SyncError as error:
            again = f"{error}; what is left is written when it is asked for again"
            self.runs.save(replace(run, state=RunState.DEFERRED, message=again))
            raise
        run = replace(
            run,
            state=judge(reports, choice.kept),
            finished_at=self.clock.now(),
            stages={**run.stages, **reports},
        )
        self.runs.save(run)
        return run
