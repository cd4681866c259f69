"""Fixture cleanup: soft removal of the games that validation found gone, under ceilings."""

from __future__ import annotations

from sync.context import Context
from sync.guard import Verdict, judge_removals
from sync.plan import plan_removals
from sync.report import Guard
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    """Remove the candidates, or hold all of them back for a person when they are too many.

    Those of a grade whose fixture has shrunk always wait for a person.
    """
    days = context.rules.removal_confirmations
    cause = f"missing from the fixture on {days} days"
    certain = plan_removals(sorted(context.missing.certain, key=lambda game: game.id), cause=cause)
    doubtful = plan_removals(sorted(context.missing.doubtful, key=lambda game: game.id), cause=cause)
    count = len(certain.changes) + len(doubtful.changes)
    work.count(read=count)
    ceiling = judge_removals(
        removals=count, stored=context.missing.checked_count, limits=context.rules.limits
    )
    if ceiling.is_held:
        work.hold(ceiling, where="removals", changes=(certain + doubtful).changes)
        return
    if doubtful.changes:
        shrunk = Verdict(Guard.SHRINK, f"{len(doubtful.changes)} games of fixtures that have shrunk")
        work.hold(shrunk, where="removals", changes=doubtful.changes)
    work.write(certain.changes)
