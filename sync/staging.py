"""The stages of one run, one after the other, and what their reports come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from sync.by_hand.approval import hash_of_held
from sync.changes import Action
from sync.context import Context
from sync.delivery.undelivered import NOTHING, undelivered_of, wait_along, with_undelivered
from sync.dry_run import PlannedCms
from sync.errors import DeferredError, LeaseLost, SyncError, TransientError
from sync.guard import with_sizes
from sync.ports import Runs, Sizes
from sync.report import Outcome, Run, Stage, StageReport
from sync.stages import competitions, extras, fixture_cleanup, fixture_validation, games, teams, tracking
from sync.verdict import verdict_of, what_is_partial
from sync.work import StageWork

_PERFORM: Mapping[Stage, Callable[[Context, StageWork], None]] = {
    Stage.COMPETITIONS: competitions.perform,
    Stage.TEAMS: teams.perform,
    Stage.GAMES: games.perform,
    Stage.FIXTURE_VALIDATION: fixture_validation.perform,
    Stage.FIXTURE_CLEANUP: fixture_cleanup.perform,
    Stage.EXTRAS: extras.perform,
    Stage.TRACKING: tracking.perform,
}

# What a stage works on; one that failed ends the stages that depend on it.
_NEEDS: Mapping[Stage, Stage] = {
    Stage.TEAMS: Stage.COMPETITIONS,
    Stage.GAMES: Stage.TEAMS,
    Stage.FIXTURE_VALIDATION: Stage.GAMES,
    Stage.FIXTURE_CLEANUP: Stage.FIXTURE_VALIDATION,
}

# So often at most is a run's record told how far it is; who follows it has its progress.
_SAVED_EVERY = timedelta(seconds=0.25)


def perform_stages(context: Context, run: Run, stages: Sequence[Stage], *, runs: Runs, sizes: Sizes) -> Run:
    """Answers the run with its verdict; raises what stopped it, the reports being saved."""
    earlier = run
    reports: dict[Stage, StageReport] = {}
    stopped_by: SyncError | None = None
    written = _Written(context)
    saved_at = context.clock.now()
    for stage in stages:
        work = StageWork(context, stage)
        ended_by = None
        if reason := _reason_to_skip(stage, reports):
            report = StageReport(outcome=Outcome.SKIPPED, message=reason)
        else:
            ended_by = _perform_stage(context, work, stages)
            report = work.report(written.by(stage), error=ended_by)
        reports[stage] = _timed(report, work, earlier.stages.get(stage))
        run = replace(
            run,
            stages={**earlier.stages, **reports},
            requests=earlier.requests + context.requests,
            holds=tuple(context.holds),
            plan_hash=_plan_hash(context),
        )
        stopped_by = stopped_by or ended_by or work.first_transient
        # The verdict saves the last of them; what lasted no longer than this nobody has seen begin.
        if stopped_by is not None or context.clock.now() - saved_at >= _SAVED_EVERY:
            runs.save(run)
            saved_at = context.clock.now()
        if isinstance(ended_by, TransientError | DeferredError):
            raise ended_by
    if stopped_by is not None:
        raise stopped_by
    if not run.dry_run:
        _remember_listings(context, sizes)
    wait_along(context.cms, run.id, context.scope)
    left = undelivered_of(context.cms, run.id)
    reports = {stage: with_undelivered(report, left.get(stage, NOTHING)) for stage, report in reports.items()}
    return replace(
        run,
        stages={**earlier.stages, **reports},
        state=verdict_of(reports),
        message=what_is_partial(reports),
    )


class _Written:
    """How many records the run has written, asked anew only once it has written more."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._counts: Mapping[Stage, Mapping[Action, int]] = {}
        self._counted_writes: int | None = None

    def by(self, stage: Stage) -> Mapping[Action, int]:
        context = self._context
        # What other packages' stages write is theirs to write.
        if context.writes != self._counted_writes or stage is Stage.EXTRAS:
            self._counted_writes = context.writes
            self._counts = context.cms.count_changes(context.run_id)
        return self._counts.get(stage, {})


def _perform_stage(context: Context, work: StageWork, stages: Sequence[Stage]) -> SyncError | None:
    """Answers what ended the stage early. Raises LeaseLost: then not even a report is written."""
    try:
        context.fill_scope(stages, work.stage)
        _PERFORM[work.stage](context, work)
    except LeaseLost:
        raise
    except SyncError as error:
        return error
    return None


def _reason_to_skip(stage: Stage, reports: Mapping[Stage, StageReport]) -> str | None:
    needed = _NEEDS.get(stage)
    if needed is not None and needed in reports:
        if reports[needed].outcome in (Outcome.FAILED, Outcome.SKIPPED):
            return f"needs {needed}, which did not succeed"
    elif stage is Stage.FIXTURE_CLEANUP:
        return f"needs {needed}, which the preset leaves out"
    return None


def _timed(report: StageReport, work: StageWork, earlier: StageReport | None) -> StageReport:
    """With the time that earlier attempts of the run spent on the stage."""
    duration_s = (work.context.clock.now() - work.started_at).total_seconds()
    return replace(report, duration_s=duration_s + (earlier.duration_s if earlier else 0.0))


def _plan_hash(context: Context) -> str | None:
    """Of a dry run all that it would write, of any other what its guards held back."""
    if isinstance(context.cms, PlannedCms):
        return context.cms.plan_hash()
    return hash_of_held([change for held in context.held.values() for change in held], context.holds)


def _remember_listings(context: Context, sizes: Sizes) -> None:
    """Keep what the guards held back, and how large the other listings were."""
    for stage, held in context.held.items():
        # With the verdict and not before: an attempt that is repeated may hold something else.
        context.cms.record_plan(context.run_id, stage, held)
    usual = with_sizes(context.usual_sizes, context.sizes)
    if usual != context.usual_sizes:
        sizes.save(context.lease.fence.key, usual)
