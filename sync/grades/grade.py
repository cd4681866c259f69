"""One grade, the unit of the games stage: fetch, plan, apply, checkpoint.

It stands apart because an association's grades also run as messages of their own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sync.context import Context
from sync.errors import NotFound
from sync.grades.assignment import Assigned, assign_games
from sync.grades.seal import SealedGrade
from sync.guard import PASSED, Verdict, judge_shrink
from sync.model import Game, Grade, Ladder, Team
from sync.plan import Plan, applied, plan_upserts
from sync.ports import Fixture, Listing, Quarantined
from sync.report import Guard
from sync.work import StageWork


def unit_of(grade_id: str) -> str:
    """The grade's name among a run's checkpoints."""
    return f"games:{grade_id}"


def name_of(grade: Grade) -> str:
    """What people call the grade."""
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
    sealed = SealedGrade(context, grade)
    try:
        if (known := sealed.find_result()) is not None:
            work.count_done(known)
            return dict(known)
        fetched = _fetch(context, grade)
    except NotFound:
        note = f"{where} is not published any more"
        work.note(note)
        return {"read": 0, "quarantined": 0, "notes": [note]}
    draft = _draft(context, sealed, grade, fetched)
    shrink = _judge_shrink(context, draft.stored, draft.listed, draft.missing)
    if shrink.is_held and not is_last_look:
        raise Shrunken
    intake = work.take_in(fetched.unreadable, readable=fetched.readable_count, where=where, doubt=shrink)
    work.count(read=draft.read)
    result = _result_of(fetched, draft, intake.notes)
    if intake.verdict.is_held:
        work.write_or_hold(draft.plan.changes, intake)
        is_believed = intake.verdict.guard is Guard.SHRINK
        return {**result, "is_held": True, "listed": draft.listed if is_believed else None}
    refusals = [*work.refuse(draft.games.refused), *work.write(draft.plan.changes)]
    if draft.team_plan.changes:
        teams = context.scope.teams
        teams[grade.season_id] = applied(teams[grade.season_id], draft.team_plan)
    if not refusals:
        _seal(context, sealed, draft, fetched, intake.notes)
    unwritten = len(fetched.unreadable) + len(refusals)
    return {**result, "quarantined": unwritten, "refusals": list(refusals)}


@dataclass(frozen=True, slots=True)
class _Fetched:
    """What the provider tells of a grade; `games` are those in scope."""

    fixture: Fixture
    ladders: Sequence[Ladder]
    games: Mapping[str, Game]
    unreadable: Sequence[Quarantined]

    @property
    def readable_count(self) -> int:
        return len(self.fixture.games) + len(self.ladders)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A plan, what it was made on, and the digest of that; None when it changed meanwhile."""

    grade: Grade
    plan: Plan
    team_plan: Plan
    games: Assigned
    stored: Mapping[str, Game]
    listed: Sequence[str] | None
    missing: Sequence[str]
    stored_digest: str | None

    @property
    def read(self) -> int:
        return len(self.plan.changes) + self.plan.unchanged


def _fetch(context: Context, grade: Grade) -> _Fetched:
    fixture = context.source.fetch_fixture(grade)
    ladders = _fetch_ladders(context, grade)
    return _Fetched(
        fixture=fixture,
        ladders=ladders.records,
        games=context.scope.games_in_scope({game.id: game for game in fixture.games}),
        unreadable=[*fixture.quarantined, *ladders.quarantined],
    )


def _draft(context: Context, sealed: SealedGrade, grade: Grade, fetched: _Fetched) -> _Draft:
    digest = sealed.digest_stored()
    stored = context.cms.read_games([grade.id])
    games = assign_games(context, grade, fetched.games, stored)
    team_plan = _plan_teams(context, grade, games, fetched.fixture.team_names)
    plan = (
        _plan_grade_days(grade, fetched.fixture)
        + team_plan
        + plan_upserts(games.own.values(), games.stored, games.removed)
        + _plan_ladders(context, grade, fetched.ladders)
    )
    is_still = digest is not None and digest == sealed.digest_stored()
    in_scope = context.scope.games_in_scope(stored).keys()
    listed = listed_ids(fetched.fixture, stored)
    if listed is not None and (refused := {one.record_id for one in games.refused}):
        listed = [game_id for game_id in listed if game_id not in refused]
    return _Draft(
        grade=grade,
        plan=plan,
        team_plan=team_plan,
        games=games,
        stored=stored,
        listed=listed,
        missing=sorted(in_scope - set(listed)) if listed is not None else [],
        stored_digest=digest if is_still else None,
    )


def _seal(
    context: Context, sealed: SealedGrade, draft: _Draft, fetched: _Fetched, notes: Sequence[str]
) -> None:
    """Seal the grade if nothing is left to write; after writes, as they were stored.

    One that lists games of another grade is not sealed: they are its own once the other drops them.
    """
    if draft.stored_digest is None or draft.games.left:
        return
    if draft.plan.changes:
        grade = applied({draft.grade.id: draft.grade}, _plan_grade_days(draft.grade, fetched.fixture))
        draft = _draft(context, sealed, grade[draft.grade.id], fetched)
    if draft.plan.changes or draft.stored_digest is None:
        return
    sealed.seal(
        draft.grade,
        _teams_that_matter(fetched),
        stored=draft.stored_digest,
        result=_result_of(fetched, draft, notes),
    )


def _result_of(fetched: _Fetched, draft: _Draft, notes: Sequence[str]) -> dict[str, Any]:
    """What the grade's checkpoint remembers, when the CMS refuses nothing."""
    return {
        "read": draft.read + len(fetched.unreadable),
        "quarantined": len(fetched.unreadable),
        "notes": list(notes),
        "listed": draft.listed,
        # For the validation, which so reads only the stored games that this listing lacks.
        "in_scope": len(draft.games.own),
        "missing": draft.missing,
    }


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


def listed_ids(fixture: Fixture, stored: Collection[str]) -> list[str] | None:
    """The ids of all games of a complete fixture, unreadable and undecided ones too.

    Where a provider marks what it deletes, all stored games but the deleted ones are taken for
    listed. None when absence proves nothing: an unreadable game has no id, so any stored game
    might be that one.
    """
    if not fixture.proves_absence:
        return sorted({*stored, *(game.id for game in fixture.games)} - set(fixture.deleted_ids))
    unreadable = [record.record_id for record in fixture.quarantined]
    known = [record_id for record_id in unreadable if record_id is not None]
    if len(known) < len(unreadable):
        return None
    return [*(game.id for game in fixture.games), *fixture.undecided_ids, *known]


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


def _plan_teams(context: Context, grade: Grade, games: Assigned, names: Mapping[str, str]) -> Plan:
    """Both teams of every game, wherever they are graded now, and names that only a fixture tells."""
    stored = context.scope.teams[grade.season_id]
    listed = context.scope.listed_teams.get(grade.season_id, {})
    needed = _teams_of(games.own.values()).difference(games.teams_elsewhere)
    teams = []
    for team_id in sorted(needed | (names.keys() & stored.keys())):
        known = listed.get(team_id) or stored.get(team_id)
        team = known or Team(id=team_id, name=None, season_id=grade.season_id)
        teams.append(replace(team, name=team.name or names.get(team_id)))
    # The teams stage has counted them; here only what it could not know counts.
    return Plan(plan_upserts(teams, stored).changes)


def _teams_that_matter(fetched: _Fetched) -> set[str]:
    """Those whose records a plan for the grade looks at."""
    return _teams_of(fetched.games.values()) | fetched.fixture.team_names.keys()


def _teams_of(games: Iterable[Game]) -> set[str]:
    return {team_id for game in games for team_id in (game.home_id, game.away_id)}
