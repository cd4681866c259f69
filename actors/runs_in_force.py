"""The sync run that messages are carried out by: always under the settings in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dramatiq.broker import MessageProxy

from actors.attempts import Attempts
from brokers.results import Reused
from settings.reload import InForce
from settings.schema import RunPreset, Settings
from sync.concurrency import InThreads
from sync.context import Rules
from sync.guard import Limits
from sync.ports import GradeTask, Sources
from sync.report import RunState, Stage
from sync.run import SyncRequest, SyncRun

OpenSources = Callable[[Settings], Sources]


class RunsInForce:
    """Built before the run it holds, because the broker asks it to close the runs of dead messages.

    A run that has begun keeps the rules, presets and sources it began with.
    """

    _current: SyncRun
    _open_sources: OpenSources
    _look_again: Callable[[], None]
    _attempts: Attempts

    def begin(
        self,
        run: SyncRun,
        open_sources: OpenSources,
        *,
        look_again: Callable[[], None],
        attempts: Attempts,
    ) -> None:
        """`look_again` takes over newer settings at once, if there are any."""
        self._current = run
        self._open_sources = open_sources
        self._look_again = look_again
        self._attempts = attempts

    def take_over(self, in_force: InForce) -> None:
        """Later runs follow the new settings and name their version."""
        settings = in_force.loaded.settings
        self._current = replace(
            self._current,
            sources=self._open_sources(settings),
            map_concurrently=InThreads(settings.sync.grade_concurrency),
            rules=rules_of(settings, version=in_force.number, alike=in_force.alike),
            presets={name: stages_of(preset) for name, preset in settings.presets.items()},
        )

    def perform(self, request: SyncRequest) -> str | None:
        """The run's id if it succeeded: the result that an equal request may be given."""
        if request.preset not in self._current.presets:
            # Its sender may have heard of a new preset a moment before this worker.
            self._look_again()
        current = self._current
        with self._attempts.counted(current.rules.config_version) as attempt:
            run = current.perform(request)
            attempt.has_failed = run.state is RunState.PARTIAL
        return run.id if run.state is RunState.SUCCEEDED else None

    def perform_grade(self, task: GradeTask) -> None:
        self._current.perform_grade(task)

    def answer(self, message: MessageProxy, reused: Reused) -> None:
        """Finish the run of a message whose equal has just been carried out."""
        if run_id := message.kwargs.get("run_id"):
            self._current.finish_as_answered(run_id, by=reused.result)

    def close(self, message: MessageProxy, error: BaseException) -> None:
        """Finish the run of a message that will not be tried again."""
        if run_id := message.kwargs.get("run_id"):
            self._current.finish_as_failed(run_id, error)


def stages_of(preset: RunPreset) -> frozenset[Stage]:
    """The stages that a preset of the settings switches on."""
    switches = {
        Stage.COMPETITIONS: preset.competitions,
        Stage.TEAMS: preset.teams,
        Stage.GAMES: preset.games,
        Stage.FIXTURE_VALIDATION: preset.validation,
        Stage.FIXTURE_CLEANUP: preset.cleanup,
        Stage.TRACKING: preset.tracking,
    }
    return frozenset(stage for stage, is_on in switches.items() if is_on)


def rules_of(settings: Settings, *, version: int, alike: frozenset[int] = frozenset()) -> Rules:
    """What a run takes from the settings; `alike` versions say the same to it."""
    sync = settings.sync
    return Rules(
        zone=settings.providers.playhq.default_zone,
        look_back_days=sync.look_back_days,
        removal_confirmations=sync.removal_confirmations,
        limits=Limits(removal_max_count=sync.removal_max_count, removal_max_share=sync.removal_max_share),
        # "ASSOCIATION/SEASON" or "SEASON".
        extra_season_ids=frozenset(
            entry.lower().rpartition("/")[2] for entry in settings.providers.playhq.extra_season_ids
        ),
        default_provider=settings.providers.default,
        config_version=version,
        like_versions=alike,
    )
