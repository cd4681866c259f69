"""Teams: of an association all; of a club its own and those it meets."""

from __future__ import annotations

from dataclasses import replace

from sync.context import Context
from sync.errors import NotFound
from sync.model import Season, Team
from sync.plan import Plan, applied, plan_upserts
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    """Store the teams of the kept seasons; a club's decide which grades are in scope."""
    scope = context.scope
    work.through(
        list(scope.seasons.values()),
        lambda season: _store_teams(context, work, season),
        name=lambda season: f"season {season.name} ({season.id})",
    )
    scope.find_former_grades(context.cms, context.window)
    if scope.is_club:
        _remember_club_name(context)


def _store_teams(context: Context, work: StageWork, season: Season) -> None:
    try:
        listing = context.source.fetch_teams(season)
    except NotFound:
        work.note(f"the teams of season {season.name} ({season.id}) are not published any more")
        return
    where = f"teams of season {season.id}"
    intake = work.take_in(listing.quarantined, readable=len(listing.records), where=where, listing=where)
    listed = {team.id: team for team in listing.records}
    wanted = _teams_in_scope(context, listed)
    stored = context.cms.read_teams([season.id])
    plan = plan_upserts(wanted, stored)
    work.count(read=len(wanted))
    written = work.write_or_hold(plan.changes, intake)
    context.scope.teams[season.id] = applied(stored, Plan(tuple(written)))
    # What is held back is not taken from the listing by another way either.
    context.scope.listed_teams[season.id] = {} if intake.verdict.is_held else listed


def _teams_in_scope(context: Context, listed: dict[str, Team]) -> list[Team]:
    scope = context.scope
    if not scope.is_club:
        return list(listed.values())
    own_grades = {team.grade_id for team in listed.values() if scope.is_own(team) and team.grade_id}
    return [team for team in listed.values() if scope.is_own(team) or team.grade_id in own_grades]


def _remember_club_name(context: Context) -> None:
    scope = context.scope
    if scope.organisation.name is not None:
        return
    names = (
        team.club_name
        for teams in scope.teams.values()
        for team in teams.values()
        if scope.is_own(team) and team.club_name
    )
    if name := next(names, None):
        scope.organisation = replace(scope.organisation, name=name)
        context.cms.save_organisation(scope.organisation)
