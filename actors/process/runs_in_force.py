"""The sync run that messages are carried out by: always under the settings in force."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dramatiq.broker import MessageProxy

from actors.process.attempts import Attempts
from brokers.results import Reused
from settings.reload import InForce
from settings.run_rules import rules_of, stages_of
from settings.schema import Settings
from sync.code import digest_of_code
from sync.concurrency import InThreads
from sync.grades.ports import GradeTask
from sync.ports import Sources
from sync.report import RunState
from sync.request import SyncRequest
from sync.run import SyncRun

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
            rules=replace(
                rules_of(settings, version=in_force.number, alike=in_force.alike),
                code=digest_of_code("sync", "providers", "cms", "stores"),
            ),
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

    def settle_delivered(self, run_id: str) -> bool:
        return self._current.closing.settle_delivered(run_id)

    def answer(self, message: MessageProxy, reused: Reused) -> None:
        """Finish the run of a message whose equal has just been carried out."""
        if run_id := message.kwargs.get("run_id"):
            self._current.closing.finish_as_answered(run_id, by=reused.result)

    def close(self, message: MessageProxy, error: BaseException) -> None:
        """Finish the run of a message that will not be tried again."""
        if run_id := message.kwargs.get("run_id"):
            self._current.closing.finish_as_failed(run_id, error)
