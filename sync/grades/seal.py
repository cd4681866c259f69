"""Seals: how a run sees that a grade is as it was when nothing was left to write.

Most grades of most nights are. A seal holds digests of all that decides what a sync of the
grade writes: the provider's answers, the stored rows, the teams, the scope, the rules and
our own code. While all are equal the plan would be empty again, so none is made. A seal is
made only from a state that a plan was made on and found empty.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from datetime import timedelta
from typing import Any

from sync.context import Context
from sync.errors import NotFound, PermanentError, SyncError, TransientError
from sync.grades.ports import DigestsAnswers, DigestsRecords, RecallsDigests, Seal
from sync.model import Grade

# What nobody thought of is seen within a week.
LASTS = timedelta(days=7)
# What is asked ahead ends by itself; this only bounds what a mistake would cost.
_WAITS_FOR_S = 60.0
_LOOKS_EVERY_S = 5.0
# Their stored records are digested together, while others are still asked for.
_LOOKED_AT_TOGETHER = 8


def find_unchanged(
    context: Context, grades: Iterable[Grade]
) -> Iterator[tuple[Grade, Mapping[str, Any] | None]]:
    """The grades that have a seal, each with what a sync of it comes to, or None if it needs work.

    At the first trouble no more are looked at; whoever works the others through meets it.
    Raises what defers a run.
    """
    seals = find_seals(context)
    sealed = [grade for grade in grades if grade.id in seals]
    if sealed and isinstance(context.source, RecallsDigests):
        unasked = [grade for grade in sealed if grade.id not in context.sealing.asked_ahead]
        context.sealing.digests.update(context.source.recall_digests(unasked))
    known: list[Grade] = []
    for grade, is_known in _ask_digests(context, sealed):
        if is_known:
            known.append(grade)
        else:
            yield grade, None
        if len(known) == _LOOKED_AT_TOGETHER:
            yield from _compare_stored(context, known, seals)
            known = []
    yield from _compare_stored(context, known, seals)


def _ask_digests(context: Context, grades: Sequence[Grade]) -> Iterator[tuple[Grade, bool]]:
    """The grades as the digests of their answers are known; False where the source cannot tell."""
    at_hand = [grade for grade in grades if grade.id in context.sealing.digests]
    yield from ((grade, True) for grade in at_hand)
    troubles: list[SyncError] = []

    def ask(grade: Grade) -> tuple[Grade, bool]:
        if troubles or not isinstance(context.source, DigestsAnswers):
            return grade, False
        context.stop.raise_if_stopping()
        context.lease.renew()
        try:
            digest = _digest_asked_ahead(context, grade) or context.source.fetch_digest(grade)
        except NotFound:
            return grade, False
        except (TransientError, PermanentError) as trouble:
            troubles.append(trouble)
            return grade, False
        if digest is not None:
            context.sealing.digests[grade.id] = digest
        return grade, digest is not None

    known = {grade.id for grade in at_hand}
    yield from context.map_concurrently(ask, [grade for grade in grades if grade.id not in known])


def _compare_stored(
    context: Context, grades: Sequence[Grade], seals: Mapping[str, Seal]
) -> Iterator[tuple[Grade, Mapping[str, Any] | None]]:
    """As `find_unchanged`, of grades whose digests are known."""
    cms = context.cms
    if not grades or not isinstance(cms, DigestsRecords):
        return
    context.stop.raise_if_stopping()
    context.lease.renew()
    try:
        stored = cms.digest_grades([grade.id for grade in grades])
    except TransientError:
        yield from ((grade, None) for grade in grades)
        return
    for grade in grades:
        seal = seals[grade.id]
        if seal.stored == stored[grade.id] and SealedGrade(context, grade).is_on_same_ground(seal):
            yield grade, seal.result
        else:
            context.sealing.changed[grade.id] = stored[grade.id]
            yield grade, None


def find_seals(context: Context) -> Mapping[str, Seal]:
    """The organisation's seals by grade, whether they still hold or not, but for those too old."""
    if context.seals is None or context.rules.code is None:
        return {}
    if context.sealing.seals is None:
        found = context.seals.find_all(_key_of(context))
        now = context.clock.now()
        context.sealing.seals = {
            grade_id: seal for grade_id, seal in found.items() if now - seal.sealed_at <= LASTS
        }
    return context.sealing.seals


def forget_seal(context: Context, grade: Grade) -> None:
    if context.seals is not None:
        context.seals.forget(_key_of(context), grade.id)


class SealedGrade:
    """One look at a grade: is it as it was sealed, and if not, may it be sealed now?"""

    def __init__(self, context: Context, grade: Grade) -> None:
        self._context = context
        self._grade = grade
        self._key = _key_of(context)
        self._answers: str | None = None

    def find_result(self) -> Mapping[str, Any] | None:
        """What a sync of the grade would come to, when it would write nothing; else None.

        Raises what the source's fetches raise.
        """
        context, grade = self._context, self._grade
        if context.seals is None or context.rules.code is None:
            return None
        if not isinstance(context.source, DigestsAnswers) or not isinstance(context.cms, DigestsRecords):
            return None
        if grade.id not in context.sealing.changed:
            seal = context.seals.find(self._key, grade.id)
            if seal is not None and (result := self.result_by(seal)) is not None:
                return result
        # For a new seal: of the answers that are worked with, which may be newer than those asked ahead.
        self._answers = self._recall_digest() or context.source.fetch_digest(grade)
        return None

    def result_by(self, seal: Seal) -> Mapping[str, Any] | None:
        """The seal's result while it holds; raises what the source's fetches raise."""
        cms = self._context.cms
        if not isinstance(cms, DigestsRecords) or not self.is_on_same_ground(seal):
            return None
        return seal.result if seal.stored == cms.digest_grade(self._grade.id) else None

    def is_on_same_ground(self, seal: Seal) -> bool:
        """Whether all but the stored records is as it was sealed; raises what the source's fetches raise."""
        context, grade = self._context, self._grade
        return (
            isinstance(context.source, DigestsAnswers)
            and context.clock.now() - seal.sealed_at <= LASTS
            and seal.answers == self._digest_answers(context.source)
            and seal.ground == self._ground(grade, seal.team_ids)
        )

    def _recall_digest(self) -> str | None:
        source = self._context.source
        if not isinstance(source, RecallsDigests):
            return None
        return source.recall_digests([self._grade]).get(self._grade.id)

    def _digest_answers(self, source: DigestsAnswers) -> str | None:
        context, grade = self._context, self._grade
        return (
            context.sealing.digests.get(grade.id)
            or _digest_asked_ahead(context, grade)
            or source.fetch_digest(grade)
        )

    def digest_stored(self) -> str | None:
        """To be taken before and after the stored records are read; None when sealing is no use.

        The look that found the grade unsealed has taken the first one already.
        """
        cms = self._context.cms
        if self._answers is None or not isinstance(cms, DigestsRecords):
            return None
        return self._context.sealing.changed.pop(self._grade.id, None) or cms.digest_grade(self._grade.id)

    def seal(
        self, grade: Grade, team_ids: Collection[str], *, stored: str, result: Mapping[str, Any]
    ) -> None:
        """Remember this state of the grade, on which a plan was found empty."""
        seals, answers = self._context.seals, self._answers
        if seals is None or answers is None:
            return
        known = tuple(sorted(team_ids))
        seals.save(
            self._key,
            grade.id,
            Seal(
                answers=answers,
                stored=stored,
                ground=self._ground(grade, known),
                team_ids=known,
                result=result,
                sealed_at=self._context.clock.now(),
            ),
        )

    def _ground(self, grade: Grade, team_ids: Collection[str]) -> str:
        """Everything else that a plan looks at, in memory by now."""
        context = self._context
        scope = context.scope
        stored = scope.teams[grade.season_id]
        listed = scope.listed_teams.get(grade.season_id, {})
        teams = [(listed.get(team_id) or stored.get(team_id), stored.get(team_id)) for team_id in team_ids]
        own = sorted(scope.own_team_ids()) if scope.is_club else ()
        return digest_of((context.rules.code, context.rules.limits, grade, teams, own))


def _digest_asked_ahead(context: Context, grade: Grade) -> str | None:
    """Of the answers that are asked for beside this stage; None if nobody does, or in vain."""
    asked = context.sealing.asked_ahead.get(grade.id)
    ends_at_s = time.monotonic() + _WAITS_FOR_S
    while asked is not None and time.monotonic() < ends_at_s:
        context.stop.raise_if_stopping()
        context.lease.renew()
        try:
            return asked.result(timeout=_LOOKS_EVERY_S)
        except TimeoutError:
            # One that was not even begun this stage can as well ask for itself.
            asked.cancel()
        except CancelledError:
            break
    return None


def _key_of(context: Context) -> str:
    organisation = context.scope.organisation
    return f"{organisation.provider}:{organisation.id}"


def digest_of(values: Iterable[object]) -> str:
    """The same for equal values, as long as their texts say all that is in them."""
    return hashlib.blake2b(repr(tuple(values)).encode(), digest_size=16).hexdigest()
