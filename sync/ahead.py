"""Asks the provider ahead of the stages, so that its answers are there when a stage wants them.

Stages go one after the other, each on what the one before has stored; the provider's answers need
not wait for that. As soon as an answer tells what will be asked next, it is asked: the kept seasons'
grades and teams side by side, and the fixture and ladder of a grade once it is known. Nothing is
decided here. The answers wait where sources keep them for a run, and a stage finds them there by
asking as always; of a grade's, a digest is kept. So a run without this is slower, never different.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import replace
from threading import Lock
from typing import TypeVar

from sync.context import Context
from sync.errors import NotFound, SyncError
from sync.grade import unit_of
from sync.model import Grade, Organisation, Season, Team
from sync.ports import DigestsAnswers, Source
from sync.report import Stage
from sync.scope import associations_known

T = TypeVar("T")

# A request waits for its turn, is answered and read, each within bounds; together no longer than this.
ENDS_WITHIN_S = 120.0


@contextmanager
def asking_ahead(context: Context, stages: Collection[Stage], *, at_once: int) -> Iterator[None]:
    """Ask beside the block, so many requests at once; none is left over when it ends.

    The source for it repeats nothing: at the first trouble no more is asked, and the stages meet
    it themselves. One that does not keep its answers at hand for the run is not asked ahead.
    """
    source = context.ahead
    if Stage.COMPETITIONS not in stages or not isinstance(source, DigestsAnswers):
        yield
        return
    ahead = _Ahead(context, source, stages, at_once)
    ahead.begin()
    try:
        yield
    finally:
        ahead.end()


class _Ahead:
    def __init__(self, context: Context, source: Source, stages: Collection[Stage], at_once: int) -> None:
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
        # A club's grades are those of its teams: both listings of a season must be there.
        self._grades: dict[str, list[Grade]] = {}
        self._own_grade_ids: dict[str, set[str | None]] = {}

    def begin(self) -> None:
        for association in associations_known(self._context.scope.organisation):
            self._submit(self._listings, self._ask_seasons, association)

    def end(self) -> None:
        with self._lock:
            self._is_over = True
        # Waits for what was begun, and not for the pools' threads: of those one may never wake
        # up under gevent when its pool is shut down in the moment in which it starts.
        wait([asked for asked in self._asked if not asked.cancel()], timeout=ENDS_WITHIN_S)
        for pool in (self._listings, self._answers_of_grades):
            pool.shutdown(wait=False, cancel_futures=True)

    def _submit(self, pool: ThreadPoolExecutor, ask: Callable[[T], None], subject: T) -> None:
        with self._lock:
            if not self._is_over:
                self._asked.append(pool.submit(copy_context().run, self._attempt, ask, subject))

    def _attempt(self, ask: Callable[[T], None], subject: T) -> None:
        try:
            self._context.stop.raise_if_stopping()
            ask(subject)
        except NotFound:
            # An answer too, and kept like one.
            return
        except SyncError:
            with self._lock:
                self._is_over = True

    def _ask_seasons(self, association: Organisation) -> None:
        context = self._context
        seasons = self._source.fetch_seasons(association).records
        stored = context.cms.read_seasons([association.id])
        for season in seasons:
            if season.last_day is None and season.id in stored:
                season = replace(season, last_day=stored[season.id].last_day)  # noqa: PLW2901
            if context.window.keeps(season, context.rules.extra_season_ids):
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

    def _go_on_with(self, grades: Collection[Grade]) -> None:
        for grade in grades:
            if unit_of(grade.id) not in self._done:
                self._submit(self._answers_of_grades, self._ask_grade, grade)

    def _ask_grade(self, grade: Grade) -> None:
        source = self._source
        digest = source.fetch_digest(grade) if isinstance(source, DigestsAnswers) else None
        if digest is not None:
            self._context.digests[grade.id] = digest
        else:
            source.fetch_fixture(grade)
            source.fetch_ladders(grade)
