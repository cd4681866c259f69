"""A stage: how many games the run's organisation has, as a note in the record of the run."""

from __future__ import annotations

from sync.context import Context
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    """Called at the end of a run. Write only by `work.write`, so that the run can be undone."""
    grades = [
        grade_id for season_id in context.scope.seasons for grade_id in context.cms.read_grades([season_id])
    ]
    games = context.cms.read_games(grades)
    work.note(f"{len(games)} games in {len(grades)} grades")
