"""Asks the provider ahead of the stages, so that its answers are there when a stage wants them.

Stages go one after the other, each on what the one before has stored; the provider's answers need
not wait for that. What the last run left tells most of what will be asked: that goes out at once, side
by side. What only the answers tell is asked as soon as they do: the kept seasons' grades and teams, and
the fixture and ladder of a grade once it is known. Nothing is decided here. The answers wait where
sources keep them for a run, and a stage finds them there by asking as always; of a grade's, a digest is
kept. So a run without this is slower, never different.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from threading import Lock
from typing import Any, TypeVar

from sync.context import Context
from sync.errors import NotFound, SyncError
from sync.grades.grade import unit_of
from sync.grades.ports import DigestsAnswers
from sync.grades.seal import find_seals, forget_seal
from sync.model import Grade, Organisation, Season, Team
from sync.report import Stage
from sync.scope import associations_known
from sync.window import is_completed

T = TypeVar("T")
R = TypeVar("R")

# Each takes a connection and an answer's memory; more do not make one run faster.
MOST_AT_ONCE = 64
# A request waits for its turn, is answered and read, each within bounds; together no longer than this.
ENDS_WITHIN_S = 120.0


@contextmanager
def asking_ahead(context: Context, stages: Collection[Stage], *, at_once: int) -> Iterator[None]:
    """Ask beside the block, at most so many requests at once; none is left over when it ends.

    The source for it repeats nothing: at the first trouble no more is asked, and the stages meet
    it themselves. One that does not keep its answers at hand for the run is not asked ahead.
    """
    source = context.ahead
    if Stage.COMPETITIONS not in stages or not isinstance(source, DigestsAnswers):
        yield
        return
    ahead = _Ahead(context, source, stages, min(at_once, source.at_once))
    ahead.begin()
    try:
        yield
    finally:
        ahead.end()


class _Ahead:
    def __init__(
        self, context: Context, source: DigestsAnswers, stages: Collection[Stage], at_once: int
    ) -> None:
        self._context = context
        self._source = source
        self._asks_teams = Stage.TEAMS in stages
        self._asks_games = self._asks_teams and Stage.GAMES in stages
        self._done = context.checkpoints.done(context.run_id).keys()
        self._listings = ThreadPoolExecutor(at_once)
        # Of a grade two things are asked, its fixture and its ladder.
        self._answers_of_grades = ThreadPoolExecutor(max(1, at_once // 2))
        self._lock = Lock()
        self._is_over = False
        self._asked: list[Future[None]] = []
        self._season_ids: set[str] = set()
        # A club's grades are those of its teams: both listings of a season must be there.
        self._grades: dict[str, list[Grade]] = {}
        self._own_grade_ids: dict[str, set[str | None]] = {}

    def begin(self) -> None:
        for association in associations_known(self._context.scope.organisation):
            self._submit(self._listings, self._ask_seasons, association)
            self._submit(self._listings, self._ask_as_stored, association)

    def end(self) -> None:
        with self._lock:
            self._is_over = True
        # Waits for what was begun, and not for the pools' threads: of those one may never wake
        # up under gevent when its pool is shut down in the moment in which it starts.
        asked: list[Future[Any]] = [*self._asked, *self._context.sealing.asked_ahead.values()]
        wait([each for each in asked if not each.cancel()], timeout=ENDS_WITHIN_S)
        for pool in (self._listings, self._answers_of_grades):
            pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, ask: Callable[[T], None], subject: T) -> None:
        with self._lock:
            if not self._is_over:
                self._asked.append(pool.submit(copy_context().run, self._attempt, ask, subject))

    def _attempt(self, ask: Callable[[T], R], subject: T) -> R | None:
        if self._is_over:
            return None
        try:
            self._context.stop.raise_if_stopping()
            return ask(subject)
        except NotFound:
            # An answer too, and kept like one.
            return None
        except SyncError:
            with self._lock:
                self._is_over = True
            return None

    def _ask_as_stored(self, association: Organisation) -> None:
        """What the last run left is asked about without waiting for the listings that name it again."""
        context = self._context
        seasons = [
            season
            for season in context.cms.read_seasons([association.id]).values()
            # How old a completed one without days is, only the listing tells.
            if (season.last_day or not is_completed(season)) and self._keeps(season)
        ]
        for season in seasons:
            self._go_on_with_season(season)
        seals = find_seals(context)
        if self._asks_games and seals:
            stored = context.cms.read_grades([season.id for season in seasons])
            self._go_on_with(grade for grade in stored.values() if grade.id in seals)

    def _ask_seasons(self, association: Organisation) -> None:
        seasons = self._source.fetch_seasons(association).records
        stored = self._context.cms.read_seasons([association.id])
        for season in seasons:
            if season.last_day is None and season.id in stored:
                season = replace(season, last_day=stored[season.id].last_day)  # noqa: PLW2901
            if self._keeps(season):
                self._go_on_with_season(season)

    def _keeps(self, season: Season) -> bool:
        return self._context.window.keeps(season, self._context.rules.extra_season_ids)

    def _go_on_with_season(self, season: Season) -> None:
        with self._lock:
            if season.id in self._season_ids:
                return
            self._season_ids.add(season.id)
        self._submit(self._listings, self._ask_grades, season)
        if self._asks_teams:
            self._submit(self._listings, self._ask_teams, season)

    def _ask_grades(self, season: Season) -> None:
        grades = list(self._source.fetch_grades(season).records)
        if self._context.scope.is_club:
            with self._lock:
                self._grades[season.id] = grades
            self._go_on_with_own(season)
        elif self._asks_games:
            self._go_on_with(grades)

    def _ask_teams(self, season: Season) -> None:
        teams: Collection[Team] = self._source.fetch_teams(season).records
        if self._context.scope.is_club:
            own = {team.grade_id for team in teams if self._context.scope.is_own(team)}
            with self._lock:
                self._own_grade_ids[season.id] = own
            self._go_on_with_own(season)

    def _go_on_with_own(self, season: Season) -> None:
        with self._lock:
            if season.id not in self._grades or season.id not in self._own_grade_ids:
                return
            own = self._own_grade_ids.pop(season.id)
            grades = [grade for grade in self._grades.pop(season.id) if grade.id in own]
        if self._asks_games:
            self._go_on_with(grades)

    def _go_on_with(self, grades: Iterable[Grade]) -> None:
        digests = self._context.sealing.asked_ahead
        for grade in grades:
            with self._lock:
                if not self._is_over and grade.id not in digests and unit_of(grade.id) not in self._done:
                    digests[grade.id] = self._answers_of_grades.submit(
                        copy_context().run, self._attempt, self._ask_grade, grade
                    )

    def _ask_grade(self, grade: Grade) -> str | None:
        source = self._source
        try:
            digest = source.fetch_digest(grade)
        except NotFound:
            # A seal of what is gone would have it asked about in every run.
            forget_seal(self._context, grade)
            raise
        if digest is None:
            source.fetch_fixture(grade)
            source.fetch_ladders(grade)
        return digest
