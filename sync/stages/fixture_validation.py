"""Fixture validation: which stored games does the provider not list any more?

A game becomes a candidate for removal only by complete listings, seen on enough
different days; a failed fetch, a hidden grade or an unreadable record proves nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sync.context import Context
from sync.errors import NotFound
from sync.grades.grade import listed_ids, name_of, unit_of
from sync.guard import judge_shrink
from sync.model import Game, Grade
from sync.ports import FindsAbsences
from sync.work import StageWork

# Games with a recorded absence that are looked through at once; with more, each grade asks for its own.
_MOST_ABSENT = 5000


def perform(context: Context, work: StageWork) -> None:
    """Note today's absences; hand the games that were missing often enough to the cleanup.

    After a games stage only the grades that it completed are looked at; without one, their
    fixtures are fetched.
    """
    grades = context.scope.grades_in_scope()
    listings = _Listings(context)
    if context.has_collected_games:
        listings.take_from_checkpoints(grades)
        grades = [grade for grade in grades if listings.of(grade.id) is not None]
    absences = _Absences(context)
    work.for_each(
        grades,
        lambda grade: _validate(context, work, grade, listings, absences),
        name=name_of,
    )


class _Listings:
    """The ids that each grade's complete fixture lists; None where nothing is proven."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._known: dict[str, Collection[str] | None] = {}
        # By grade, what the games stage of this run left in its checkpoints.
        self.results: dict[str, Mapping[str, Any]] = {}

    def take_from_checkpoints(self, grades: Collection[Grade]) -> None:
        done = self._context.checkpoints.done(self._context.run_id)
        for grade in grades:
            self.results[grade.id] = done.get(unit_of(grade.id), {})
            self._known[grade.id] = self.results[grade.id].get("listed")

    def of(self, grade_id: str) -> Collection[str] | None:
        if grade_id not in self._known:
            self._known[grade_id] = self._fetch(grade_id)
        return self._known[grade_id]

    def _fetch(self, grade_id: str) -> Collection[str] | None:
        grade = self._context.scope.grades.get(grade_id)
        if grade is None:
            return None
        try:
            fixture = self._context.source.fetch_fixture(grade)
        except NotFound:
            return None
        stored = () if fixture.proves_absence else self._context.cms.read_games([grade_id])
        return listed_ids(fixture, stored)


class _Absences:
    """The days on which games were missing; where none was or is, nothing need be recorded."""

    def __init__(self, context: Context) -> None:
        self._context = context
        cms = context.cms
        found = cms.find_absent(most=_MOST_ABSENT) if isinstance(cms, FindsAbsences) else None
        self._absent = None if found is None else set(found)

    def record(
        self, grade: Grade, *, missing: Collection[str], present: Collection[str], is_doubtful: bool
    ) -> Mapping[str, int]:
        """Count, per missing game, the days on which it was missing; present ones count from zero again."""
        absent = self._absent
        if absent is not None:
            absent.update(missing)
            if absent.isdisjoint(missing) and absent.isdisjoint(present):
                return {}
        return self._context.cms.record_absences(
            grade.id,
            missing=missing,
            present=present,
            day=self._context.window.today,
            is_doubtful=is_doubtful,
        )


def _validate(
    context: Context, work: StageWork, grade: Grade, listings: _Listings, absences: _Absences
) -> None:
    listed = listings.of(grade.id)
    if listed is None:
        return
    missing, stored_count = _find_missing(context, grade, listings, listed)
    work.count(read=stored_count)
    shrink = judge_shrink(
        listed=len(listed), missing=len(missing), stored=stored_count, limits=context.rules.limits
    )
    gone = {game_id for game_id, game in missing.items() if _is_gone(context, game, listings)}
    days_missing = absences.record(grade, missing=gone, present=listed, is_doubtful=shrink.is_held)
    confirmed = [
        missing[game_id]
        for game_id in sorted(gone)
        if days_missing.get(game_id, 0) >= context.rules.removal_confirmations
        and _is_nowhere(context, game_id, grade.season_id, listings)
    ]
    with work.lock:
        (context.missing.doubtful if shrink.is_held else context.missing.certain).extend(confirmed)
        context.missing.checked_count += stored_count
    if shrink.is_held:
        work.hold(shrink, where=name_of(grade))
    if unconfirmed := len(gone) - len(confirmed):
        work.note(f"{name_of(grade)}: {unconfirmed} games missing, not yet confirmed")


def _find_missing(
    context: Context, grade: Grade, listings: _Listings, listed: Collection[str]
) -> tuple[dict[str, Game], int]:
    """The grade's stored games that its fixture lacks, and of how many; a moved one is not missing."""
    if (result := listings.results.get(grade.id)) is None:
        stored = context.scope.games_in_scope(context.cms.read_games([grade.id]))
        return {game_id: stored[game_id] for game_id in stored.keys() - set(listed)}, len(stored)
    found = context.cms.find_games(result["missing"]) if result["missing"] else {}
    missing = {game_id: game for game_id, game in found.items() if game.grade_id == grade.id}
    return missing, result["in_scope"] + len(missing)


def _is_gone(context: Context, game: Game, listings: _Listings) -> bool:
    """Whether it is in the window, and missing where its teams play now.

    A game goes with a re-graded team to another grade, which a club's run need not read and
    which may be hidden today.
    """
    if not context.window.may_remove(game):
        return False
    for grade_id in _present_grades(context, game) - {game.grade_id}:
        listed = listings.of(grade_id)
        if listed is None or game.id in listed:
            return False
    return True


def _is_nowhere(context: Context, game_id: str, season_id: str, listings: _Listings) -> bool:
    """The last look before a removal: every fixture of the season is complete and lacks it."""
    siblings = [grade.id for grade in context.scope.grades.values() if grade.season_id == season_id]
    return all(
        (listed := listings.of(grade_id)) is not None and game_id not in listed for grade_id in siblings
    )


def _present_grades(context: Context, game: Game) -> set[str]:
    scope = context.scope
    # As listed in this run, before as stored: a club does not store every re-grading.
    sources = [*scope.teams.values(), *scope.listed_teams.values()]
    teams = [
        teams[team_id] for teams in sources for team_id in (game.home_id, game.away_id) if team_id in teams
    ]
    return {team.grade_id for team in teams if team.grade_id is not None}
