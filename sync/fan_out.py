"""One run's grades spread over all workers, and gathered again.

The run itself works along, from the other end, and waits for what others have begun. So
lost messages or dead helpers make it slower, never wrong, and its failures are judged here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sync.context import Context, FanOut
from sync.errors import SyncError
from sync.grade import Shrunken, name_of, sync_grade, unit_of
from sync.model import Grade
from sync.ports import Gathers, GradeTask
from sync.report import RequestCounts, Stage
from sync.work import StageWork, TakenElsewhere


def fan_out_for(context: Context, grades: Sequence[Grade]) -> FanOut | None:
    """How to share the grades, or None: when they are few, a club's, or have unnamed teams.

    A helper reads teams from the CMS; it cannot know which names the listing left out.
    """
    fan_out = context.fan_out
    if fan_out is None or context.scope.is_club or len(grades) < fan_out.min_grades:
        return None
    listings = context.scope.listed_teams.values()
    is_named = all(team.name is not None for listed in listings for team in listed.values())
    return fan_out if is_named else None


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
            self._work.through(
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
        self._fan_out.gathers.close(self._context.run_id)

    def count_helped(self) -> None:
        """Add what the helpers read and what their requests cost."""
        done = self._context.checkpoints.done(self._context.run_id)
        for unit in self._grades.keys() - self._done:
            result = done.get(unit)
            if result is not None and not result.get("is_held"):
                self._work.recall(result)
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
            self._fan_out.gathers.settle(context.run_id, unit, is_done=unit in self._done)


def help_with(context: Context, grade: Grade, gathers: Gathers) -> None:
    """Do one grade of another worker's run, unless it is done, begun or the run is over.

    An error is not this worker's to judge: the grade goes back to the run, which tries it.
    """
    unit = unit_of(grade.id)
    if not gathers.claim(context.run_id, unit, token=context.lease.fence.token):
        return
    is_done = False
    try:
        context.stop.raise_if_stopping()
        result = sync_grade(context, StageWork(context, Stage.GAMES), grade)
        if result.get("is_held"):
            # The run keeps what it holds back for its verdict; from here it would be lost.
            return
        cost = {"requests": asdict(context.source.requests)}
        context.checkpoints.mark_done(context.run_id, unit, {**result, **cost})
        is_done = True
    except (SyncError, Shrunken):
        return
    finally:
        gathers.settle(context.run_id, unit, is_done=is_done)
