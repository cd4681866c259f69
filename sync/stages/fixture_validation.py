"""Fixture validation: which stored games does the provider not list any more?

A game becomes a candidate for removal only by complete listings, seen on enough
different days; a failed fetch, a hidden grade or an unreadable record proves nothing.
"""

from __future__ import annotations

from sync.context import Context
from sync.errors import NotFound
from sync.grade import listed_ids, unit_of
from sync.guard import judge_shrink
from sync.model import Grade
from sync.work import StageWork


def perform(context: Context, work: StageWork) -> None:
    """Note today's absences; hand the games that were missing often enough to the cleanup.

    After a games stage only the grades that it completed are looked at; without one, their
    fixtures are fetched.
    """
    grades = context.scope.grades_in_scope()
    listed: dict[str, list[str] | None] = {}
    if context.has_collected_games:
        done = context.checkpoints.done(context.run_id)
        listed = {
            grade.id: done[unit_of(grade.id)].get("listed") for grade in grades if unit_of(grade.id) in done
        }
        grades = [grade for grade in grades if listed.get(grade.id) is not None]

    def validate(grade: Grade) -> None:
        ids = listed[grade.id] if grade.id in listed else _fetch_listed_ids(context, grade)
        if ids is not None:
            _note_absences(context, work, grade, set(ids))

    work.through(grades, validate, name=lambda grade: f"grade {grade.name} ({grade.id})")


def _fetch_listed_ids(context: Context, grade: Grade) -> list[str] | None:
    try:
        return listed_ids(context.source.fetch_fixture(grade))
    except NotFound:
        return None


def _note_absences(context: Context, work: StageWork, grade: Grade, listed: set[str]) -> None:
    # Read after the games stage: a game that was moved to another grade is not missing here.
    stored = context.scope.games_in_scope(context.cms.read_games([grade.id]))
    work.count(read=len(stored))
    missing = stored.keys() - listed
    verdict = judge_shrink(
        listed=len(listed), missing=len(missing), stored=len(stored), limits=context.rules.limits
    )
    if verdict.is_held:
        work.hold(verdict, where=f"grade {grade.name} ({grade.id})")
        return
    candidates = {game_id for game_id in missing if context.window.may_remove(stored[game_id])}
    context.lease.renew()
    days_missing = context.cms.record_absences(
        grade.id, missing=candidates, present=stored.keys() & listed, day=context.window.today
    )
    confirmed = [
        stored[game_id]
        for game_id in sorted(candidates)
        if days_missing.get(game_id, 0) >= context.rules.removal_confirmations
    ]
    with work.lock:
        context.removable.extend(confirmed)
        context.checked_count += len(stored)
    if unconfirmed := len(candidates) - len(confirmed):
        work.note(f"grade {grade.name} ({grade.id}): {unconfirmed} games missing, not yet on enough days")
