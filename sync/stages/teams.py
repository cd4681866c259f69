"""Teams: of an association all; of a club its own and those it meets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    stored = context.cms.read_teams([season.id])
    listed = _one_each(listing.records, stored)
    wanted = _teams_in_scope(context, listing.records, listed)
    plan = plan_upserts(wanted, stored)
    work.count(read=len(wanted))
    written = work.write_or_hold(plan.changes, intake)
    context.scope.teams[season.id] = applied(stored, Plan(tuple(written)))
    # What is held back is not taken from the listing by another way either.
    context.scope.listed_teams[season.id] = {} if intake.verdict.is_held else listed
    if not intake.verdict.is_held:
        context.scope.own_grade_ids |= context.scope.own_grades_of(listing.records)


def _one_each(listing: Sequence[Team], stored: Mapping[str, Team]) -> dict[str, Team]:
    """Of a team in several grades the record of the grade that is stored, else of the first one."""
    found: dict[str, Team] = {}
    for team in listing:
        taken, known = found.get(team.id), stored.get(team.id)
        is_graded_now = taken is not None and taken.grade_id is None
        is_as_stored = known is not None and None is not team.grade_id == known.grade_id
        if taken is None or is_graded_now or is_as_stored:
            found[team.id] = team
    return found


def _teams_in_scope(context: Context, listing: Sequence[Team], listed: Mapping[str, Team]) -> list[Team]:
    scope = context.scope
    if not scope.is_club:
        return list(listed.values())
    own_grades = scope.own_grades_of(listing)
    met = {team.id for team in listing if scope.is_own(team) or team.grade_id in own_grades}
    return [team for team_id, team in listed.items() if team_id in met]


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
