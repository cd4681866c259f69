"""Fixture cleanup: soft removal of the games that validation found gone, under ceilings."""

from __future__ import annotations

from sync.context import Context
from sync.guard import judge_removals
from sync.plan import plan_removals
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    """Remove the candidates, or hold all of them back for a person when they are too many."""
    games = sorted(context.removable, key=lambda game: game.id)
    work.count(read=len(games))
    verdict = judge_removals(removals=len(games), stored=context.checked_count, limits=context.rules.limits)
    days = context.rules.removal_confirmations
    plan = plan_removals(games, cause=f"missing from the fixture on {days} days")
    if verdict.is_held:
        work.hold_plan(verdict, plan.changes, where="removals")
        return
    work.write(plan.changes)
