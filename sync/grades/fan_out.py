"""One run's grades spread over all workers, and gathered again.

The run itself works along, from the other end, and waits for what others have begun. So
lost messages or dead helpers make it slower, never wrong, and its failures are judged here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from threading import Lock

from sync.context import Context, FanOut
from sync.errors import SyncError
from sync.grades.grade import Shrunken, name_of, sync_grade, unit_of
from sync.grades.ports import Gathers, GradeTask
from sync.model import Grade, Team
from sync.ports import Checkpoints, Cms, Runs
from sync.report import RequestCounts, Run, Stage
from sync.work import StageWork, TakenElsewhere

# Seasons that one process helps with at a time; the largest takes about 1 MB.
_SEASONS_HELPED = 8
# The checkpoint that tells helpers which teams the provider's listing leaves without a name.
_UNNAMED = "unnamed-teams"


@dataclass(frozen=True, slots=True)
class HelpedSeason:
    """A season of another worker's run, as it was at the first grade of it that came here."""

    run: Run
    grades: Mapping[str, Grade]
    teams: dict[str, Team]
    # Those of the teams that were listed without a name.
    unnamed: dict[str, Team]


class HelpedSeasons:
    """What this process helps with, read once a season and attempt, not once a grade."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, int, str], HelpedSeason] = OrderedDict()
        self._lock = Lock()

    def find(self, task: GradeTask, runs: Runs, cms: Cms, checkpoints: Checkpoints) -> HelpedSeason:
        """Raises NotFound when the run does not exist."""
        key = (task.run_id, task.fence.token, task.season_id)
        with self._lock:
            if key not in self._known:
                self._known[key] = _read_season(task, runs, cms, checkpoints)
            self._known.move_to_end(key)
            while len(self._known) > _SEASONS_HELPED:
                self._known.popitem(last=False)
            return self._known[key]


def _read_season(task: GradeTask, runs: Runs, cms: Cms, checkpoints: Checkpoints) -> HelpedSeason:
    teams = dict(cms.read_teams([task.season_id]))
    unnamed = checkpoints.done(task.run_id).get(_UNNAMED, {}).get("team_ids", ())
    return HelpedSeason(
        run=runs.find(task.run_id),
        grades=cms.read_grades([task.season_id]),
        teams=teams,
        unnamed={team_id: replace(teams[team_id], name=None) for team_id in unnamed if team_id in teams},
    )


def fan_out_for(context: Context, grades: Sequence[Grade]) -> FanOut | None:
    """How to share the grades, or None: when they are few, or a club's."""
    fan_out = context.fan_out
    if fan_out is None or context.scope.is_club or len(grades) < fan_out.min_grades:
        return None
    return fan_out


def share_grades(
    context: Context, work: StageWork, fan_out: FanOut, grades: Sequence[Grade], *, done_before: int
) -> None:
    """Share the grades out, do those that nobody has begun, and return when all are done."""
    gathering = _Gathering(context, work, fan_out, grades, done_before)
    gathering.open()
    try:
        gathering.perform()
    finally:
        gathering.close()
    gathering.count_helped()
    work.raise_if_all_failed(len(grades) + done_before)


class _Gathering:
    def __init__(
        self, context: Context, work: StageWork, fan_out: FanOut, grades: Sequence[Grade], done_before: int
    ) -> None:
        self._context = context
        self._work = work
        self._fan_out = fan_out
        self._grades = {unit_of(grade.id): grade for grade in grades}
        self._total = len(grades) + done_before
        # By this run itself; what it tried and failed is not tried again in this attempt.
        self._tried: set[str] = set()
        self._done: set[str] = set()

    def open(self) -> None:
        context = self._context
        fence = context.lease.fence
        listings = context.scope.listed_teams.values()
        unnamed = [team.id for listed in listings for team in listed.values() if team.name is None]
        context.checkpoints.mark_done(context.run_id, _UNNAMED, {"team_ids": unnamed})
        self._fan_out.gathers.open(context.run_id, self._grades, token=fence.token)
        self._fan_out.share_out(
            [
                GradeTask(
                    run_id=context.run_id,
                    grade_id=grade.id,
                    season_id=grade.season_id,
                    fence=fence,
                    fresh_after=context.fresh_after,
                    is_urgent=context.is_urgent,
                )
                for grade in self._grades.values()
            ]
        )

    def perform(self) -> None:
        left = list(reversed(self._grades))
        while left:
            self._work.for_each(
                [self._grades[unit] for unit in left],
                self._take,
                name=name_of,
                done_before=self._total - len(left),
            )
            self._context.stop.raise_if_stopping()
            self._context.lease.renew()
            waiting = self._fan_out.gathers.wait(self._context.run_id, timeout_s=self._fan_out.poll_s)
            left = [unit for unit in waiting if unit not in self._tried]
            self._work.progressed(self._total - len(left), self._total)

    def close(self) -> None:
        # Whatever the helpers wrote is to be counted, too.
        self._context.writes += 1
        self._fan_out.gathers.close(self._context.run_id)

    def count_helped(self) -> None:
        """Add what the helpers read and what their requests cost."""
        done = self._context.checkpoints.done(self._context.run_id)
        for unit in self._grades.keys() - self._done:
            result = done.get(unit)
            if result is not None and not result.get("is_held"):
                self._work.count_done(result)
                self._context.shared_requests += RequestCounts(**result.get("requests", {}))

    def _take(self, grade: Grade) -> None:
        context = self._context
        unit = unit_of(grade.id)
        if not self._fan_out.gathers.claim(context.run_id, unit, token=context.lease.fence.token):
            raise TakenElsewhere
        self._tried.add(unit)
        try:
            result = sync_grade(context, self._work, grade)
            context.checkpoints.mark_done(context.run_id, unit, result)
            self._done.add(unit)
        except Shrunken:
            context.shrunken.append(grade)
        finally:
            left = self._fan_out.gathers.settle(context.run_id, unit, is_done=unit in self._done)
            self._work.progressed(self._total - left, self._total)


def help_with(task: GradeTask, gathers: Gathers, open_context: Callable[[], Context | None]) -> None:
    """Do one grade of another worker's run, unless it is done, begun or the run is over.

    An error is not this worker's to judge: the grade goes back to the run, which tries it.
    """
    unit = unit_of(task.grade_id)
    if not gathers.claim(task.run_id, unit, token=task.fence.token):
        return
    is_done = False
    try:
        context = open_context()
        if context is None:
            return
        context.stop.raise_if_stopping()
        result = sync_grade(context, StageWork(context, Stage.GAMES), context.scope.grades[task.grade_id])
        if result.get("is_held"):
            # The run keeps what it holds back for its verdict; from here it would be lost.
            return
        cost = {"requests": asdict(context.source.requests)}
        context.checkpoints.mark_done(task.run_id, unit, {**result, **cost})
        is_done = True
    except (SyncError, Shrunken):
        return
    finally:
        gathers.settle(task.run_id, unit, is_done=is_done)
