"""The end of a run: its verdict saved, its flags set, and announced, each once.

Most runs end with their own work. Others are ended for them: by a message that gave up, by
an equal run's answer, by a CMS that got the last of what waited for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sync.causes import cause_of
from sync.delivery.undelivered import NOTHING, after_delivery, undelivered_of
from sync.errors import AccountBusy, NotFound
from sync.ports import Announce, Checkpoints, Clock, Cms, LetNext, Runs
from sync.report import Mode, Run, RunState
from sync.verdict import describe, has_results, verdict_of, what_is_partial


@dataclass(frozen=True, slots=True, kw_only=True)
class Closing:
    cms: Cms
    runs: Runs
    checkpoints: Checkpoints
    clock: Clock
    announce: Announce
    let_next: LetNext

    def finish(self, run: Run, *, is_announced: bool = True) -> Run:
        """Save the verdict, then set the flags and announce it, each once."""
        # First: whoever sees the verdict and asks again wants what has changed since.
        self.let_next(run)
        run = replace(run, finished_at=self.clock.now())
        self.runs.save(run)
        self.settle(run, is_announced=is_announced)
        return run

    def settle(self, run: Run, *, is_announced: bool = True) -> None:
        """Set the flags of a run that has its verdict and announce it, unless that is done.

        Repeatable, for a worker that dies between the verdict and its announcement.
        """
        # Named for the verdict, because a failed run may be asked for again and fail again.
        unit = f"settled:{run.finished_at}"
        if run.state is RunState.CANCELLED or self.checkpoints.is_done(run.id, unit):
            return
        self._set_flags(run)
        if is_announced:
            self.announce(run)
        self.checkpoints.mark_done(run.id, unit, {})

    def finish_as_failed(self, run_id: str, error: BaseException) -> None:
        """Close a run whose message will not be tried again, with one announcement.

        What was stored before the last attempt gave up counts: then the run is partial.
        """
        try:
            run = self.runs.find(run_id)
        except NotFound:
            return
        if run.state.is_final:
            self.settle(run)
            return
        state = RunState.PARTIAL if has_results(run.stages) else RunState.FAILED
        run = replace(run, state=state, message=describe(error), cause=cause_of(error))
        self.finish(run, is_announced=not isinstance(error, AccountBusy))

    def finish_as_answered(self, run_id: str, *, by: str) -> None:
        """Close a run that an equal one, `by`, answered so recently that nothing is asked again."""
        run, answer = self.runs.find(run_id), self.runs.find(by)
        if run.state.is_final:
            self.settle(run)
            return
        ended = f"{answer.finished_at:%H:%M:%S} UTC" if answer.finished_at else "a moment ago"
        message = f"already in step: the equal run {by} ended at {ended}, and its result is still fresh"
        self.finish(replace(run, state=RunState.SUCCEEDED, message=message))

    def settle_delivered(self, run_id: str) -> bool:
        """Give a run its verdict anew, now that the CMS has got or refused all that waited for it.

        False while the run still works: then it comes to its verdict by itself.
        """
        try:
            run = self.runs.find(run_id)
        except NotFound:
            return True
        if not run.state.is_final:
            return False
        if run.delivery is not None:
            delivered = self._after_delivery(run)
            # Tried again and refused again, there is nothing new to tell.
            if delivered != run:
                self.finish(delivered)
        return True

    def _after_delivery(self, run: Run) -> Run:
        written, left = self.cms.count_changes(run.id), undelivered_of(self.cms, run.id)
        reports = {
            stage: after_delivery(report, written.get(stage, {}), left.get(stage, NOTHING))
            if report.waiting or report.refused
            else report
            for stage, report in run.stages.items()
        }
        if run.state is not RunState.PARTIAL:
            return replace(run, stages=reports)
        return replace(run, stages=reports, state=verdict_of(reports), message=what_is_partial(reports))

    def _set_flags(self, run: Run) -> None:
        if run.account_id is None or run.mode.is_direct or run.dry_run:
            return
        if run.mode is Mode.UPDATE:
            self.cms.set_flags(run.account_id, is_updating=False)
        elif run.state is RunState.SUCCEEDED:
            self.cms.set_flags(run.account_id, is_setup=True)
