"""Teams: of an association all; of a club its own and those it meets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sync.belonging import claim, first_seasons
from sync.context import Context
from sync.errors import NotFound
from sync.model import Season, Team
from sync.plan import Plan, applied, plan_upserts
from sync.work import Intake, StageWork


def perform(context: Context, work: StageWork) -> None:
    """Store the teams of the kept seasons; a club's decide which grades are in scope."""
    scope = context.scope
    _store_teams(context, work, _fetch_teams(context, work))
    scope.find_former_grades(context.cms, context.window)
    if scope.is_club:
        _remember_club_name(context)


@dataclass(frozen=True, slots=True)
class _Teams:
    """One season's teams as listed and as stored, and what the guards say of them."""

    season: Season
    intake: Intake
    listing: Sequence[Team]
    stored: Mapping[str, Team]
    # The listed ones once each.
    listed: Mapping[str, Team]


def _fetch_teams(context: Context, work: StageWork) -> Sequence[_Teams]:
    answers: list[_Teams] = []

    def fetch(season: Season) -> None:
        try:
            listing = context.source.fetch_teams(season)
        except NotFound:
            work.note(f"the teams of season {season.name} ({season.id}) are not published any more")
            return
        where = f"teams of season {season.id}"
        intake = work.take_in(listing.quarantined, readable=len(listing.records), where=where, listing=where)
        stored = context.cms.read_teams([season.id])
        listed = _one_each(listing.records, stored)
        answers.append(_Teams(season, intake, listing.records, stored, listed))

    work.for_each(
        list(context.scope.seasons.values()),
        fetch,
        name=lambda season: f"season {season.name} ({season.id})",
    )
    return sorted(answers, key=lambda answer: answer.season.id)


def _store_teams(context: Context, work: StageWork, answers: Sequence[_Teams]) -> None:
    scope = context.scope
    first = first_seasons((answer.season, list(answer.listed.values())) for answer in answers)
    left: list[tuple[str, str]] = []
    for answer in answers:
        season_id = answer.season.id
        wanted = _teams_in_scope(context, answer.listing, answer.listed)
        claims = claim(context, answer.season, wanted, answer.stored, first)
        plan = plan_upserts(claims.own, claims.stored)
        work.count(read=len(claims.own))
        work.refuse(claims.refused)
        written = work.write_or_hold(plan.changes, answer.intake)
        scope.teams[season_id] = {**applied(claims.stored, Plan(tuple(written))), **claims.left_elsewhere}
        is_held = answer.intake.verdict.is_held
        refused = {one.record_id for one in claims.refused}
        # What is held back is not taken from the listing by another way either.
        scope.listed_teams[season_id] = {} if is_held else _without(answer.listed, refused)
        scope.listed_teams[season_id].update(claims.left_elsewhere)
        left += [(season_id, team_id) for team_id in claims.left_here]
        if not is_held:
            scope.own_grade_ids |= scope.own_grades_of(answer.listing)
    for season_id, team_id in left:
        # As it is stored in its own season, so that a game here finds nothing to write of it.
        if (team := scope.teams[first[team_id]].get(team_id)) is not None:
            scope.teams[season_id][team_id] = scope.listed_teams[season_id][team_id] = team


def _without(teams: Mapping[str, Team], team_ids: Collection[str | None]) -> dict[str, Team]:
    return {team_id: team for team_id, team in teams.items() if team_id not in team_ids}


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
