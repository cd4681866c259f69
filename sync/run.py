"""One run, start to finish: what happens between a request and its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sync.ahead import asking_ahead
from sync.causes import cause_of
from sync.closing import Closing
from sync.context import Context, Extra, FanOut, Rules
from sync.dry_run import PassingCheckpoints, PlannedCms
from sync.errors import (
    LeaseLost,
    PermanentError,
)
from sync.grades.fan_out import HelpedSeasons, help_with
from sync.grades.ports import GradeTask, Seals
from sync.model import Organisation, OrganisationKind
from sync.ports import (
    Announce,
    Checkpoints,
    Clock,
    Cms,
    Lease,
    Leases,
    LetNext,
    MapConcurrently,
    Progress,
    Runs,
    Sizes,
    Source,
    Sources,
    StopSignal,
)
from sync.presets import PRESETS, stages_of
from sync.report import Mode, Run, RunState, Stage
from sync.request import SyncRequest, organisation_of, queued_run
from sync.scope import Scope
from sync.staging import perform_stages
from sync.verdict import describe
from sync.window import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRun:
    """Performs runs; holds no state of any, so one serves all messages of a worker."""

    sources: Sources
    cms: Cms
    leases: Leases
    runs: Runs
    sizes: Sizes
    checkpoints: Checkpoints
    clock: Clock
    stop: StopSignal
    progress: Progress
    map_concurrently: MapConcurrently
    announce: Announce
    let_next: LetNext
    rules: Rules = field(default_factory=Rules)
    presets: Mapping[str, frozenset[Stage]] = field(default_factory=lambda: PRESETS)
    fan_out: FanOut | None = None
    # At most so many requests at once are asked ahead of the stages, fewer where the provider allows
    # fewer; 0: none.
    asked_ahead: int = 0
    seals: Seals | None = None
    helped: HelpedSeasons = field(default_factory=HelpedSeasons)
    extras: Mapping[str, Extra] = field(default_factory=dict)

    @property
    def closing(self) -> Closing:
        """Ends runs, those whose message never comes to `perform` again too."""
        return Closing(
            cms=self.cms,
            runs=self.runs,
            checkpoints=self.checkpoints,
            clock=self.clock,
            announce=self.announce,
            let_next=self.let_next,
        )

    def perform(self, request: SyncRequest) -> Run:
        """Bring the organisation's stored records in step with the provider's.

        Answers the finished run, succeeded or partial, or one that was cancelled, untouched.
        Raises the error of a failed one after its verdict is saved and announced; a transient
        or deferred error leaves the run deferred, and the same request goes on where it stopped.
        """
        run = self._admit(request)
        if run.state in (RunState.SUCCEEDED, RunState.PARTIAL, RunState.CANCELLED):
            # Delivered again after the verdict: only what was cut off is done now.
            self.closing.settle(run)
            return run
        try:
            stages = stages_of(run.preset, self.presets, has_extras=bool(self.extras))
            organisation = organisation_of(request, self.cms, default_provider=self.rules.default_provider)
            with self.leases.hold(f"{organisation.provider}:{organisation.id}", owner=run.id) as lease:
                run = self._start(self._begun_anew(run, request), organisation)
                context = self._open_context(request, run, organisation, lease)
                context.ahead = self._open_ahead(request, context)
                context.usual_sizes = self.sizes.read(lease.fence.key)
                with self._shown_as_updating(run), asking_ahead(context, stages, at_once=self.asked_ahead):
                    run = perform_stages(context, run, stages, runs=self.runs, sizes=self.sizes)
                return self.closing.finish(run)
        except LeaseLost:
            # Whoever holds the lease now writes the run's record.
            raise
        except PermanentError as error:
            failed = replace(
                self.runs.find(run.id), state=RunState.FAILED, message=str(error), cause=cause_of(error)
            )
            self.closing.finish(failed)
            raise
        except Exception as error:
            self._postpone(run.id, error)
            raise

    def perform_grade(self, task: GradeTask) -> None:
        """Do one grade that a run shared out; nothing happens when it is not wanted any more."""
        if self.fan_out is not None:
            help_with(task, self.fan_out.gathers, lambda: self._open_helping(task))

    def _admit(self, request: SyncRequest) -> Run:
        self.runs.request(queued_run(request))
        # A queued run may have been upgraded since its record was made: the message counts.
        found = self.runs.find(request.run_id)
        return replace(found, mode=request.mode, preset=request.preset)

    def _begun_anew(self, run: Run, request: SyncRequest) -> Run:
        """Without what earlier attempts did, if that is asked for; a later attempt then goes on."""
        unit = f"restarted:{request.requested_at.isoformat()}"
        if not request.is_restart or self.checkpoints.is_done(run.id, unit):
            return run
        self.checkpoints.forget(run.id)
        self.checkpoints.mark_done(run.id, unit, {})
        return replace(run, stages={})

    def _start(self, run: Run, organisation: Organisation) -> Run:
        version = self.rules.config_version
        if run.started_at is not None and not run.state.is_final:
            if self.rules.agree_with(run.config_version):
                version = run.config_version
            else:
                # Nothing that was collected under other settings counts: no run mixes two versions.
                self.checkpoints.forget(run.id)
                run = replace(run, stages={})
        run = replace(
            run,
            state=RunState.RUNNING,
            organisation_id=organisation.id,
            provider=organisation.provider,
            started_at=(None if run.state.is_final else run.started_at) or self.clock.now(),
            finished_at=None,
            config_version=version,
            message=None,
            cause=None,
        )
        self.runs.save(run)
        return run

    def _open_context(
        self, request: SyncRequest | GradeTask, run: Run, organisation: Organisation, lease: Lease
    ) -> Context:
        fresh_after = request.fresh_after or run.requested_at
        is_patient = isinstance(request, SyncRequest) and request.is_patient
        return Context(
            run_id=run.id,
            source=self.sources.open(
                organisation.provider,
                run_id=run.id,
                fresh_after=fresh_after,
                is_urgent=request.is_urgent,
                is_patient=is_patient,
                is_helping=isinstance(request, GradeTask),
            ),
            cms=PlannedCms(self.cms) if run.dry_run else self.cms,
            lease=lease,
            checkpoints=PassingCheckpoints() if run.dry_run else self.checkpoints,
            clock=self.clock,
            stop=self.stop,
            progress=self.progress,
            map_concurrently=self.map_concurrently,
            rules=self.rules,
            extras=self.extras,
            window=Window.at(
                self.clock.now(), zone=self.rules.zone, look_back_days=self.rules.look_back_days
            ),
            scope=Scope(organisation),
            fresh_after=fresh_after,
            is_urgent=request.is_urgent,
            is_patient=is_patient,
            fan_out=None if run.dry_run else self.fan_out,
            seals=None if run.dry_run else self.seals,
        )

    def _open_ahead(self, request: SyncRequest, context: Context) -> Source | None:
        """For whoever waits: a night has enough other runs to use its quota up."""
        if not self.asked_ahead or request.is_patient:
            return None
        return self.sources.open(
            context.scope.organisation.provider,
            run_id=context.run_id,
            fresh_after=context.fresh_after,
            is_urgent=request.is_urgent,
            is_helping=True,
        )

    def _open_helping(self, task: GradeTask) -> Context | None:
        """The context of one grade of another worker's run; None when it is not known here."""
        season = self.helped.find(task, self.runs, self.cms, self.checkpoints)
        run = season.run
        if run.organisation_id is None or task.grade_id not in season.grades:
            return None
        if not self.rules.agree_with(run.config_version):
            # This worker is under other settings: the run does the grade itself.
            return None
        organisation = Organisation(
            id=run.organisation_id,
            kind=OrganisationKind.ASSOCIATION,
            provider=run.provider or self.rules.default_provider,
        )
        context = self._open_context(task, run, organisation, self.leases.join(task.fence))
        context.scope.grades.update(season.grades)
        context.scope.teams[task.season_id] = season.teams
        context.scope.listed_teams[task.season_id] = season.unnamed
        return context

    @contextmanager
    def _shown_as_updating(self, run: Run) -> Iterator[None]:
        """While an update runs its account says so; a finished run clears it with its verdict."""
        if run.mode is not Mode.UPDATE or run.account_id is None or run.dry_run:
            yield
            return
        self.cms.set_flags(run.account_id, is_updating=True)
        try:
            yield
        except BaseException:
            self.cms.set_flags(run.account_id, is_updating=False)
            raise

    def _postpone(self, run_id: str, error: BaseException) -> None:
        run = self.runs.find(run_id)
        if not run.state.is_final:
            self.runs.save(
                replace(run, state=RunState.DEFERRED, message=describe(error), cause=cause_of(error))
            )
