"""One grade, the unit of the games stage: fetch, plan, apply, checkpoint.

It stands apart because an association's grades also run as messages of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from sync.context import Context
from sync.errors import NotFound
from sync.guard import PASSED, Verdict, judge_shrink
from sync.model import Game, Grade, Ladder, Team
from sync.plan import Plan, applied, plan_upserts
from sync.ports import Fixture, Listing
from sync.report import Guard
from sync.work import StageWork


def unit_of(grade_id: str) -> str:
    """The grade's name among a run's checkpoints."""
    return f"games:{grade_id}"


def name_of(grade: Grade) -> str:
    """What people call the grade where it is told of."""
    return f"grade {grade.name} ({grade.id})"


class Shrunken(Exception):
    """A grade's fixture lacks so much of what is stored that it is looked at again after all others.

    Its games may have gone to another grade, which is not written yet.
    """


def sync_grade(
    context: Context, work: StageWork, grade: Grade, *, is_last_look: bool = False
) -> dict[str, Any]:
    """Store the grade's games in scope, its ladders and its days.

    Answers what its checkpoint remembers. A grade that the provider does not know any more
    is not an error: nothing is written, and nothing is taken for removed. Raises Shrunken,
    and at the last look holds the grade's changes back instead.
    """
    where = name_of(grade)
    try:
        fixture = context.source.fetch_fixture(grade)
    except NotFound:
        note = f"{where} is not published any more"
        work.note(note)
        return {"read": 0, "quarantined": 0, "notes": [note]}
    ladders = _fetch_ladders(context, grade)
    games = context.scope.games_in_scope({game.id: game for game in fixture.games})
    stored = context.cms.read_games([grade.id])
    listed = listed_ids(fixture)
    missing = sorted(context.scope.games_in_scope(stored).keys() - set(listed)) if listed is not None else []
    shrink = _judge_shrink(context, stored, listed, missing)
    if shrink.is_held and not is_last_look:
        raise Shrunken
    unreadable = [*fixture.quarantined, *ladders.quarantined]
    intake = work.take_in(
        unreadable, readable=len(fixture.games) + len(ladders.records), where=where, doubt=shrink
    )
    team_plan = _plan_teams(context, grade, fixture, games)
    plan = (
        _plan_grade_days(grade, fixture)
        + team_plan
        + _plan_games(context, games, stored)
        + _plan_ladders(context, grade, ladders.records)
    )
    read = len(plan.changes) + plan.unchanged
    work.count(read=read)
    result = {
        "read": read + len(unreadable),
        "quarantined": len(unreadable),
        "notes": list(intake.notes),
        "listed": listed,
        # For the validation, which so reads only the stored games that this listing lacks.
        "in_scope": len(games),
        "missing": missing,
    }
    if intake.verdict.is_held:
        work.write_or_hold(plan.changes, intake)
        is_believed = intake.verdict.guard is Guard.SHRINK
        return {**result, "is_held": True, "listed": listed if is_believed else None}
    refused = work.write(plan.changes)
    if team_plan.changes:
        teams = context.scope.teams
        teams[grade.season_id] = applied(teams[grade.season_id], team_plan)
    return {**result, "quarantined": len(unreadable) + len(refused)}


def _judge_shrink(
    context: Context, stored: Mapping[str, Game], listed: Sequence[str] | None, missing: Sequence[str]
) -> Verdict:
    if listed is None:
        return PASSED
    return judge_shrink(
        listed=len(listed),
        missing=len(missing),
        stored=len(context.scope.games_in_scope(stored)),
        limits=context.rules.limits,
    )


def listed_ids(fixture: Fixture) -> list[str] | None:
    """The ids of all games of a complete fixture, unreadable and undecided ones too.

    None when absence proves nothing: an unreadable game has no id, so any stored game might
    be that one, or the provider marks what it deletes.
    """
    if not fixture.proves_absence:
        return None
    unreadable = [record.record_id for record in fixture.quarantined]
    known = [record_id for record_id in unreadable if record_id is not None]
    if len(known) < len(unreadable):
        return None
    return [*(game.id for game in fixture.games), *fixture.undecided_ids, *known]


def _plan_games(context: Context, games: Mapping[str, Game], stored: Mapping[str, Game]) -> Plan:
    known = dict(stored)
    removed: Mapping[str, Game] = {}
    if unknown := games.keys() - known.keys():
        # A game keeps its id when it is moved to another grade.
        known.update(context.cms.find_games(unknown))
        removed = context.cms.read_removed_games(games.keys() - known.keys())
    return plan_upserts(games.values(), known, removed)


def _fetch_ladders(context: Context, grade: Grade) -> Listing[Ladder]:
    try:
        return context.source.fetch_ladders(grade)
    except NotFound:
        # A grade without a ladder is normal, above all of juniors.
        return Listing(())


def _plan_ladders(context: Context, grade: Grade, ladders: Sequence[Ladder]) -> Plan:
    if not ladders:
        return Plan()
    return plan_upserts(ladders, context.cms.read_ladders([grade.id]))


def _plan_grade_days(grade: Grade, fixture: Fixture) -> Plan:
    first_day, last_day = days_of(fixture.games)
    return plan_upserts([replace(grade, first_day=first_day, last_day=last_day)], {grade.id: grade})


def days_of(games: Collection[Game]) -> tuple[date | None, date | None]:
    first_days = [game.first_day for game in games if game.first_day is not None]
    last_days = [game.last_day for game in games if game.last_day is not None]
    return min(first_days, default=None), max(last_days, default=None)


def _plan_teams(context: Context, grade: Grade, fixture: Fixture, games: Mapping[str, Game]) -> Plan:
    """Both teams of every game, wherever they are graded now, and names that only a fixture tells."""
    stored = context.scope.teams[grade.season_id]
    listed = context.scope.listed_teams.get(grade.season_id, {})
    needed = {team_id for game in games.values() for team_id in (game.home_id, game.away_id)}
    teams = []
    for team_id in sorted(needed | (fixture.team_names.keys() & stored.keys())):
        known = listed.get(team_id) or stored.get(team_id)
        team = known or Team(id=team_id, name=None, season_id=grade.season_id)
        teams.append(replace(team, name=team.name or fixture.team_names.get(team_id)))
    # The teams stage has counted them; here only what it could not know counts.
    return Plan(plan_upserts(teams, stored).changes)
