"""A CMS behind an outbox: while it does not answer, what was planned for it waits here.

A run goes on without its CMS. It reads what is stored here of it, with what waits laid over,
and its writes wait as records as they should be, one for each record and the newest at that:
an older value can never come after a newer one. While anything waits everything waits, so
that no child overtakes its parent. `sync.delivery.deliver` brings it to the CMS; what the CMS then
refuses for good is kept apart, until a person has it tried again or a newer change replaces it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, TypeVar

from sync.changes import Action, Change
from sync.delegating_cms import DelegatingCms
from sync.errors import CmsUnavailable
from sync.model import (
    Game,
    Grade,
    Ladder,
    Record,
    RecordKind,
    Season,
    Team,
    parent_id_of,
)
from sync.ports import Clock, Fence, FindsRecords, Quarantined, StoredRecords
from sync.report import Stage

log = logging.getLogger(__name__)

R = TypeVar("R", Season, Grade, Team, Game, Ladder)
F = TypeVar("F", Season, Grade, Team)
T = TypeVar("T")

_KIND_OF: Mapping[type[Record], RecordKind] = {
    Season: RecordKind.SEASON,
    Grade: RecordKind.GRADE,
    Team: RecordKind.TEAM,
    Game: RecordKind.GAME,
    Ladder: RecordKind.LADDER,
}
# So long a CMS that did not answer is left alone: each question costs several attempts.
AWAY_FOR = timedelta(seconds=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A change that the CMS has not got yet; `ticket` is another one when a newer replaces it."""

    ticket: str
    run_id: str
    stage: Stage
    change: Change

    @property
    def record(self) -> Record | None:
        """The record as it should be; None when it should be gone."""
        return None if self.change.action is Action.REMOVED else self.change.after


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A change that the CMS refused for good when it was brought there."""

    run_id: str
    stage: Stage
    change: Change
    reason: str
    refused_at: datetime


class Outbox(Protocol):
    """What waits for the CMS, kept durably: at most one change for each record."""

    def is_empty(self) -> bool: ...

    def put(self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence) -> None:
        """Let the changes wait, in the place of older ones of the same records.

        Whoever let an older one wait shares the newer one. Raises LeaseLost, and CmsUnavailable
        when there is no room for more.
        """
        ...

    def share(self, run_id: str, waiting: Collection[Waiting]) -> None:
        """Let the run wait for these changes of others as for its own."""
        ...

    def read(
        self, kind: RecordKind, record_ids: Collection[str], *, parent_ids: Collection[str] = ()
    ) -> Mapping[str, Waiting]:
        """What waits of these records, and of those that should be below these parents."""
        ...

    def first(self, limit: int) -> Sequence[Waiting]:
        """Parents first, and each kind in the order in which it came; of one moment."""
        ...

    def remove(self, delivered: Sequence[Waiting]) -> None:
        """Forget them, but those that a newer change has replaced meanwhile."""
        ...

    def refuse(self, refused: Sequence[tuple[Waiting, str]]) -> None:
        """Take them out of the line and keep them with the reason, but those that were replaced meanwhile."""
        ...

    def overtake(self, written: Sequence[Change]) -> None:
        """Forget what was refused of these records: something newer has been written of them."""
        ...

    def refusals(self, run_id: str) -> Sequence[Refusal]:
        """What was refused of the changes that the run waited for and not overtaken since, parents first."""
        ...

    def count_waiting(self, run_id: str) -> Mapping[Stage, int]:
        """How many changes the run waits for, its own and shared ones."""
        ...

    def runs(self) -> Collection[str]:
        """The runs that let something wait, until they are forgotten."""
        ...

    def forget_run(self, run_id: str) -> None: ...


@dataclass(slots=True)
class OutboxCms(DelegatingCms):
    """A CMS that may be away; `remembered` answers meanwhile, and the outbox takes what is written."""

    remembered: StoredRecords
    outbox: Outbox
    clock: Clock
    _away_until: datetime | None = None

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]:
        return self._below(association_ids, Season, lambda reads: reads.read_seasons(association_ids))

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]:
        return self._below(season_ids, Grade, lambda reads: reads.read_grades(season_ids))

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]:
        return self._below(season_ids, Team, lambda reads: reads.read_teams(season_ids))

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]:
        return self._below(grade_ids, Game, lambda reads: reads.read_games(grade_ids))

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        return self._below(grade_ids, Ladder, lambda reads: reads.read_ladders(grade_ids))

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._these(game_ids, lambda reads: reads.find_games(game_ids), lambda waiting: waiting.record)

    def find_records(self, record_type: type[F], record_ids: Collection[str]) -> Mapping[str, F]:
        def read(reads: StoredRecords) -> Mapping[str, F]:
            return reads.find_records(record_type, record_ids) if isinstance(reads, FindsRecords) else {}

        found = dict(self._ask(read))
        for record_id, waiting in self._waiting(_KIND_OF[record_type], record_ids).items():
            if isinstance(waiting.record, record_type):
                found[record_id] = waiting.record
        return found

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        return self._these(
            game_ids,
            lambda reads: reads.read_removed_games(game_ids),
            lambda waiting: waiting.change.before if waiting.record is None else None,
        )

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        """Games that wait do not count: their grades are in the scope of the run that left them."""
        return self._ask(lambda reads: reads.find_game_grades(team_ids, since=since))

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        """Write the changes, or let them wait; then the CMS's refusals show with their delivery."""
        if not self._is_away() and self.outbox.is_empty():
            try:
                refused = self.cms.apply(run_id, stage, changes, fence=fence)
            except CmsUnavailable as error:
                # What it has by now is found there, and not written twice.
                self._note_away(error)
            else:
                self.outbox.overtake(changes)
                return refused
        self.outbox.put(run_id, stage, changes, fence=fence)
        return ()

    def _ask(self, read: Callable[[StoredRecords], T]) -> T:
        """What the CMS says, or what is remembered of it while it is away."""
        if not self._is_away():
            try:
                return read(self.cms)
            except CmsUnavailable as error:
                self._note_away(error)
        return read(self.remembered)

    def _below(
        self, parent_ids: Collection[str], kind: type[R], read: Callable[[StoredRecords], Mapping[str, R]]
    ) -> Mapping[str, R]:
        """What is stored below the parents, with what waits laid over."""
        stored = self._ask(read)
        waiting = self._waiting(_KIND_OF[kind], stored.keys(), parent_ids=parent_ids)
        if not waiting:
            return stored
        records = {record_id: record for record_id, record in stored.items() if record_id not in waiting}
        for record_id, one in waiting.items():
            if isinstance(one.record, kind) and parent_id_of(one.record) in parent_ids:
                records[record_id] = one.record
        return records

    def _these(
        self,
        game_ids: Collection[str],
        read: Callable[[StoredRecords], Mapping[str, Game]],
        as_it_will_be: Callable[[Waiting], Record | None],
    ) -> Mapping[str, Game]:
        games = dict(self._ask(read))
        for game_id, waiting in self._waiting(RecordKind.GAME, game_ids).items():
            games.pop(game_id, None)
            game = as_it_will_be(waiting)
            if isinstance(game, Game):
                games[game_id] = game
        return games

    def _waiting(
        self, kind: RecordKind, record_ids: Collection[str], *, parent_ids: Collection[str] = ()
    ) -> Mapping[str, Waiting]:
        if self.outbox.is_empty():
            return {}
        return self.outbox.read(kind, record_ids, parent_ids=parent_ids)

    def _is_away(self) -> bool:
        return self._away_until is not None and self.clock.now() < self._away_until

    def _note_away(self, error: CmsUnavailable) -> None:
        self._away_until = self.clock.now() + AWAY_FOR
        log.warning("cms_away", extra={"reason": str(error)})
