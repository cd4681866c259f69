"""One run, start to finish: what happens between a request and its verdict."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from sync.ahead import asking_ahead
from sync.causes import cause_of
from sync.context import Context, Extra, FanOut, Rules
from sync.delivery.undelivered import NOTHING, after_delivery, undelivered_of
from sync.dry_run import PassingCheckpoints, PlannedCms
from sync.errors import (
    AccountBusy,
    InvalidRequest,
    LeaseLost,
    NotFound,
    PermanentError,
)
from sync.grades.fan_out import HelpedSeasons, help_with
from sync.grades.ports import GradeTask, Seals
from sync.model import Account, Organisation, OrganisationKind
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
from sync.scope import Scope
from sync.staging import perform_stages
from sync.verdict import describe, has_results, verdict_of, what_is_partial
from sync.window import Window

_KIND_OF_MODE: Mapping[Mode, OrganisationKind] = {
    Mode.CLUB: OrganisationKind.CLUB,
    Mode.CLUB_DIRECT: OrganisationKind.CLUB,
    Mode.ASSOCIATION: OrganisationKind.ASSOCIATION,
    Mode.ASSOCIATION_DIRECT: OrganisationKind.ASSOCIATION,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequest:
    """What a message asks for; `fresh_after` None means `requested_at`, both aware UTC."""

    run_id: str
    mode: Mode
    requested_at: datetime
    preset: str = "full"
    account_id: int | None = None
    organisation_id: str | None = None
    provider: str | None = None
    batch_id: str | None = None
    is_dry_run: bool = False
    is_restart: bool = False
    is_urgent: bool = False
    # Nobody waits for it: it comes back when a provider that is down is up again.
    is_patient: bool = False
    fresh_after: datetime | None = None


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

    def perform(self, request: SyncRequest) -> Run:
        """Bring the organisation's stored records in step with the provider's.

        Answers the finished run, succeeded or partial, or one that was cancelled, untouched.
        Raises the error of a failed one after its verdict is saved and announced; a transient
        or deferred error leaves the run deferred, and the same request goes on where it stopped.
        """
        run = self._admit(request)
        if run.state in (RunState.SUCCEEDED, RunState.PARTIAL, RunState.CANCELLED):
            # Delivered again after the verdict: only what was cut off is done now.
            self._settle(run)
            return run
        try:
            stages = stages_of(run.preset, self.presets, has_extras=bool(self.extras))
            organisation = self._find_organisation(request)
            with self.leases.hold(f"{organisation.provider}:{organisation.id}", owner=run.id) as lease:
                run = self._start(self._begun_anew(run, request), organisation)
                context = self._open_context(request, run, organisation, lease)
                context.ahead = self._open_ahead(request, context)
                context.usual_sizes = self.sizes.read(lease.fence.key)
                with self._shown_as_updating(run), asking_ahead(context, stages, at_once=self.asked_ahead):
                    run = perform_stages(context, run, stages, runs=self.runs, sizes=self.sizes)
                return self._finish(run)
        except LeaseLost:
            # Whoever holds the lease now writes the run's record.
            raise
        except PermanentError as error:
            failed = replace(
                self.runs.find(run.id), state=RunState.FAILED, message=str(error), cause=cause_of(error)
            )
            self._finish(failed)
            raise
        except Exception as error:
            self._postpone(run.id, error)
            raise

    def perform_grade(self, task: GradeTask) -> None:
        """Do one grade that a run shared out; nothing happens when it is not wanted any more."""
        if self.fan_out is not None:
            help_with(task, self.fan_out.gathers, lambda: self._open_helping(task))

    def finish_as_failed(self, run_id: str, error: BaseException) -> None:
        """Close a run whose message will not be tried again, with one announcement.

        What was stored before the last attempt gave up counts: then the run is partial.
        """
        try:
            run = self.runs.find(run_id)
        except NotFound:
            return
        if run.state.is_final:
            self._settle(run)
            return
        state = RunState.PARTIAL if has_results(run.stages) else RunState.FAILED
        run = replace(run, state=state, message=describe(error), cause=cause_of(error))
        self._finish(run, is_announced=not isinstance(error, AccountBusy))

    def finish_as_answered(self, run_id: str, *, by: str) -> None:
        """Close a run that an equal one, `by`, answered so recently that nothing is asked again."""
        run, answer = self.runs.find(run_id), self.runs.find(by)
        if run.state.is_final:
            self._settle(run)
            return
        ended = f"{answer.finished_at:%H:%M:%S} UTC" if answer.finished_at else "a moment ago"
        message = f"already in step: the equal run {by} ended at {ended}, and its result is still fresh"
        self._finish(replace(run, state=RunState.SUCCEEDED, message=message))

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
            written, left = self.cms.count_changes(run_id), undelivered_of(self.cms, run_id)
            reports = {
                stage: after_delivery(report, written.get(stage, {}), left.get(stage, NOTHING))
                if report.waiting or report.refused
                else report
                for stage, report in run.stages.items()
            }
            is_settled = run.state is RunState.PARTIAL
            state = verdict_of(reports) if is_settled else run.state
            message = what_is_partial(reports) if is_settled else run.message
            settled = replace(run, stages=reports, state=state, message=message)
            # Tried again and refused again, there is nothing new to tell.
            if settled != run:
                self._finish(settled)
        return True

    def _admit(self, request: SyncRequest) -> Run:
        self.runs.request(
            Run(
                id=request.run_id,
                mode=request.mode,
                preset=request.preset,
                state=RunState.QUEUED,
                requested_at=request.requested_at,
                account_id=request.account_id,
                organisation_id=request.organisation_id,
                provider=request.provider,
                batch_id=request.batch_id,
                dry_run=request.is_dry_run,
            )
        )
        # A queued run may have been upgraded since its record was made: the message counts.
        found = self.runs.find(request.run_id)
        return replace(found, mode=request.mode, preset=request.preset)

    def _find_organisation(self, request: SyncRequest) -> Organisation:
        if request.account_id is not None:
            return self._find_account(request.account_id, request.mode).organisation
        if request.organisation_id is None:
            raise InvalidRequest(f"{request.mode} needs an account or an organisation")
        kind = _KIND_OF_MODE[request.mode]
        organisation_id = request.organisation_id.lower()
        organisation = self.cms.find_organisation(kind, organisation_id)
        if organisation is not None:
            if request.provider not in (None, organisation.provider):
                raise InvalidRequest(
                    f"organisation {organisation_id} is stored as one of {organisation.provider}, "
                    f"not {request.provider}"
                )
            return organisation
        for other in OrganisationKind:
            if other is not kind and self.cms.find_organisation(other, organisation_id) is not None:
                raise InvalidRequest(f"organisation {organisation_id} is of type {other}, not {kind}")
        provider = request.provider or self.rules.default_provider
        return Organisation(id=organisation_id, kind=kind, provider=provider)

    def _find_account(self, account_id: int, mode: Mode) -> Account:
        try:
            account = self.cms.find_account(account_id)
        except NotFound as error:
            raise InvalidRequest(f"account {account_id} does not exist") from error
        wanted = _KIND_OF_MODE.get(mode, account.organisation.kind)
        if account.organisation.kind is not wanted:
            raise InvalidRequest(
                f"account {account_id} ({account.name}) is of type {account.organisation.kind}, not {wanted}"
            )
        return account

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

    def _finish(self, run: Run, *, is_announced: bool = True) -> Run:
        """Save the verdict, then set the flags and announce it, each once."""
        # First: whoever sees the verdict and asks again wants what has changed since.
        self.let_next(run)
        run = replace(run, finished_at=self.clock.now())
        self.runs.save(run)
        self._settle(run, is_announced=is_announced)
        return run

    def _settle(self, run: Run, *, is_announced: bool = True) -> None:
        # Repeatable, for a worker that dies between the verdict and its announcement; named
        # for the verdict, because a failed run may be asked for again and fail again.
        unit = f"settled:{run.finished_at}"
        if run.state is RunState.CANCELLED or self.checkpoints.is_done(run.id, unit):
            return
        self._set_flags(run)
        if is_announced:
            self.announce(run)
        self.checkpoints.mark_done(run.id, unit, {})

    def _set_flags(self, run: Run) -> None:
        if run.account_id is None or run.mode.is_direct or run.dry_run:
            return
        if run.mode is Mode.UPDATE:
            self.cms.set_flags(run.account_id, is_updating=False)
        elif run.state is RunState.SUCCEEDED:
            self.cms.set_flags(run.account_id, is_setup=True)
