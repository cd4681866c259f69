"""Games: fixtures, results and ladders, grade by grade."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sync.context import Context
from sync.grades.fan_out import fan_out_for, share_grades
from sync.grades.grade import Shrunken, name_of, sync_grade, unit_of
from sync.grades.seal import find_unchanged
from sync.model import Grade
from sync.plan import plan_upserts
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    """Store what every grade in scope publishes; grades done in an earlier attempt are left out."""
    context.has_collected_games = True
    grades = context.scope.grades_in_scope()
    # What was held back in an earlier attempt is planned anew: the plan ended with that attempt.
    done = {
        unit: result
        for unit, result in context.checkpoints.done(context.run_id).items()
        if not result.get("is_held")
    }
    for grade in grades:
        if result := done.get(unit_of(grade.id)):
            work.count_done(result)
    left = [grade for grade in grades if unit_of(grade.id) not in done]
    remaining = _leave_unchanged(context, work, left, done_before=len(grades) - len(left))
    done_before = len(grades) - len(remaining)
    if fan_out := fan_out_for(context, remaining):
        share_grades(context, work, fan_out, remaining, done_before=done_before)
    else:
        _sync_alone(context, work, remaining, done_before=done_before)
    _look_again(context, work, total=len(grades))
    _store_season_days(context, work)


def _leave_unchanged(
    context: Context, work: StageWork, grades: Sequence[Grade], *, done_before: int
) -> Sequence[Grade]:
    """Most grades of most nights: told apart here, which costs less than to share them out."""
    unchanged = {}
    for grade, result in find_unchanged(context, grades):
        if result is None:
            continue
        work.count_done(result)
        unchanged[unit_of(grade.id)] = result
        work.progressed(done_before + len(unchanged), done_before + len(grades))
    if unchanged:
        # Together, because a crash before this repeats little.
        context.checkpoints.mark_all_done(context.run_id, unchanged)
    return [grade for grade in grades if unit_of(grade.id) not in unchanged]


def _sync_alone(context: Context, work: StageWork, grades: Sequence[Grade], *, done_before: int) -> None:
    def perform(grade: Grade) -> None:
        try:
            result = sync_grade(context, work, grade)
        except Shrunken:
            context.shrunken.append(grade)
            return
        context.checkpoints.mark_done(context.run_id, unit_of(grade.id), result)

    work.for_each(grades, perform, name=name_of, done_before=done_before)


def _look_again(context: Context, work: StageWork, *, total: int) -> None:
    """Now that all other grades are written, a game that moved to one of them is not missing."""

    def perform(grade: Grade) -> None:
        result = sync_grade(context, work, grade, is_last_look=True)
        context.checkpoints.mark_done(context.run_id, unit_of(grade.id), result)

    work.for_each(context.shrunken, perform, name=name_of, done_before=total - len(context.shrunken))


def _store_season_days(context: Context, work: StageWork) -> None:
    """A season lasts from the first to the last day of its stored grades."""
    seasons = context.scope.seasons
    grades = context.cms.read_grades(list(seasons))
    with_days = []
    for season in seasons.values():
        own = [grade for grade in grades.values() if grade.season_id == season.id]
        first_days = [grade.first_day for grade in own if grade.first_day is not None]
        last_days = [grade.last_day for grade in own if grade.last_day is not None]
        with_days.append(
            replace(
                season,
                first_day=min(first_days, default=None),
                last_day=max(last_days, default=None),
            )
        )
    plan = plan_upserts(with_days, seasons)
    work.count(read=len(plan.changes))
    work.write(plan.changes)
