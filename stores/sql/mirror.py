"""The mirror: the provider's records as stored here, read for plans and written by runs."""

from __future__ import annotations

import functools
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any, TypeVar

from sqlalchemy import (
    JSON,
    Column,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    select,
    update,
)

from stores.sql.changes import Marks, insert_changes
from stores.sql.engine import carry_out, reading, writing
from stores.sql.fences import check_fence
from stores.sql.rebase import rebased
from stores.sql.records import RECORD_TYPES, from_document, to_document
from stores.sql.tables import Utc, games, grades, ladders, seasons, teams
from stores.sql.upserts import chunked, upsert
from sync.changes import Action, Change
from sync.model import Game, Grade, Ladder, Record, RecordKind, Season, Team
from sync.ports import Clock, Fence, Quarantined
from sync.report import Stage

TABLES: Mapping[RecordKind, Table] = {
    RecordKind.SEASON: seasons,
    RecordKind.GRADE: grades,
    RecordKind.TEAM: teams,
    RecordKind.GAME: games,
    RecordKind.LADDER: ladders,
}
# What must be stored before a record may refer to it.
_PARENTS: Mapping[RecordKind, Sequence[tuple[str, RecordKind]]] = {
    RecordKind.SEASON: (),
    RecordKind.GRADE: (("season_id", RecordKind.SEASON),),
    RecordKind.TEAM: (("season_id", RecordKind.SEASON),),
    RecordKind.GAME: (
        ("grade_id", RecordKind.GRADE),
        ("home_id", RecordKind.TEAM),
        ("away_id", RecordKind.TEAM),
    ),
    RecordKind.LADDER: (("grade_id", RecordKind.GRADE),),
}

# The rows of so many are in memory together.
_GRADES_READ_AT_ONCE = 8
# Column types that cost something to read.
_DECODED = (JSON, Utc)
_IS_KEPT = games.c.removed_at.is_(None)
_IS_REMOVED = games.c.removed_at.is_not(None)

R = TypeVar("R", bound=Record)


class Mirror:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]:
        return self._read(Season, seasons.c.association_id, association_ids)

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]:
        return self._read(Grade, grades.c.season_id, season_ids)

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]:
        return self._read(Team, teams.c.season_id, season_ids)

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]:
        """Stored games of the grades, soft-deleted ones left out."""
        return self._read(Game, games.c.grade_id, grade_ids, _IS_KEPT)

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        """Stored games by id, soft-deleted ones left out."""
        return self._read(Game, games.c.id, game_ids, _IS_KEPT)

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        """The grades with a stored game of one of the teams that ends on `since` or later, or has no day."""
        is_recent = games.c.last_day.is_(None) | (games.c.last_day >= since.isoformat())
        found: set[str] = set()
        with reading(self._engine) as connection:
            for chunk in chunked(team_ids):
                # One query a side: an OR over both would use neither index.
                for side in (games.c.home_id, games.c.away_id):
                    query = (
                        select(games.c.grade_id)
                        .where(side.in_(chunk), games.c.removed_at.is_(None), is_recent)
                        .distinct()
                    )
                    found.update(connection.scalars(query))
        return found

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        """Those of the games that are soft-deleted."""
        return self._read(Game, games.c.id, game_ids, _IS_REMOVED)

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]:
        return self._read(Ladder, ladders.c.grade_id, grade_ids)

    def digest_grade(self, grade_id: str) -> str:
        """A digest of the grade's games and ladders as they are stored, soft-deleted ones included."""
        return self.digest_grades([grade_id])[grade_id]

    def digest_grades(self, grade_ids: Sequence[str]) -> Mapping[str, str]:
        """As `digest_grade`, of each of them; a few are read at a time."""
        digests = {grade_id: hashlib.blake2b(digest_size=16) for grade_id in grade_ids}
        with reading(self._engine) as connection:
            for some in chunked(digests, _GRADES_READ_AT_ONCE):
                for query in (_GAMES_AS_TEXT, _LADDERS_AS_TEXT):
                    rows: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
                    for grade_id, *row in connection.execute(query, {"grade_ids": some}):
                        rows[grade_id].append(tuple(row))
                    for grade_id in some:
                        digests[grade_id].update(repr(sorted(rows[grade_id], key=_id_of)).encode())
        return {grade_id: digest.hexdigest() for grade_id, digest in digests.items()}

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        """Write the changes and their history in one transaction; repeatable.

        What another run has written in the meantime is neither overwritten nor counted.
        Answers the records it refused, because a record they refer to is not stored.
        Raises LeaseLost when a later fence has written to the same account.
        """
        now = self._clock.now()

        def write(connection: Connection) -> Sequence[Quarantined]:
            check_fence(connection, fence)
            accepted, refused = _without_orphans(connection, rebased(connection, changes, TABLES))
            write_records(connection, accepted, now)
            insert_changes(connection, run_id, stage, accepted, Marks(at=now, is_applied=True))
            return refused

        return carry_out(self._engine, write)

    def find_records(self, record_type: type[R], record_ids: Collection[str]) -> Mapping[str, R]:
        """Stored records of one type by id; of games also the soft-deleted ones."""
        table = TABLES[next(kind for kind, known in RECORD_TYPES.items() if known is record_type)]
        return self._read(record_type, table.c.id, record_ids)

    def check_fence(self, fence: Fence) -> None:
        """Raises LeaseLost when a later fence has written to the same account."""
        with writing(self._engine) as connection:
            check_fence(connection, fence)

    def follow(
        self,
        run_id: str,
        stage: Stage,
        written: Sequence[Change],
        *,
        seen: Sequence[Change] = (),
        fence: Fence,
    ) -> None:
        """Take over what another CMS holds by now, in one transaction; repeatable.

        `written` becomes history, `seen` was there already and does not. Raises LeaseLost.
        """
        now = self._clock.now()

        def write(connection: Connection) -> None:
            check_fence(connection, fence)
            write_records(connection, [*seen, *written], now)
            insert_changes(connection, run_id, stage, written, Marks(at=now, is_applied=True))

        carry_out(self._engine, write)

    def without_orphans(self, changes: Sequence[Change]) -> tuple[Sequence[Change], Sequence[Quarantined]]:
        """The changes whose parents are stored, parents first, and the others with the reason."""
        with reading(self._engine) as connection:
            return _without_orphans(connection, changes)

    def _read(
        self, kind: type[R], column: Column[Any], values: Collection[str], *conditions: ColumnElement[bool]
    ) -> Mapping[str, R]:
        # Plain strings: msgspec refuses SQLAlchemy's own kind as keys.
        names = [str(column.name) for column in column.table.c]
        query = _rows_with(column, *conditions)
        found: dict[str, R] = {}
        with reading(self._engine) as connection:
            for chunk in chunked(values):
                for row in connection.execute(query, {"values": chunk}).all():
                    found[row.id] = from_document(kind, dict(zip(names, row, strict=True)))
        return found


def _rows_as_text(table: Table) -> Select[Any]:
    """Some grades' ids, row by row before their rows, JSON as its text: reading it decodes nothing."""
    columns = [cast(column, Text) if isinstance(column.type, _DECODED) else column for column in table.c]
    is_wanted = table.c.grade_id.in_(bindparam("grade_ids", expanding=True))
    return select(table.c.grade_id.label("of"), *columns).where(is_wanted)


# The first column of games and of ladders.
_id_of = itemgetter(0)


_GAMES_AS_TEXT, _LADDERS_AS_TEXT = _rows_as_text(games), _rows_as_text(ladders)


@functools.cache
def _rows_with(column: Column[Any], *conditions: ColumnElement[bool]) -> Select[Any]:
    """All rows whose column has one of `values`; made once, because making it costs as much as asking."""
    return select(column.table).where(column.in_(bindparam("values", expanding=True)), *conditions)


def write_records(connection: Connection, changes: Sequence[Change], now: datetime) -> None:
    """Store the records that the changes lead to; a removed one is only marked."""
    rows: dict[RecordKind, dict[str, Any]] = defaultdict(dict)
    for change in changes:
        if change.action is Action.REMOVED or change.after is None:
            continue
        rows[change.kind][change.record_id] = to_row(change.after)
    for kind, table in TABLES.items():
        upsert(connection, table, list(rows[kind].values()))
    for change in changes:
        if change.action is Action.REMOVED:
            connection.execute(
                update(games)
                .where(games.c.id == change.record_id)
                .values(removed_at=now, removal_reason=change.cause)
            )


def to_row(record: Record) -> dict[str, Any]:
    """The record as a row of its table: its document, and what only tables have."""
    row = to_document(record)
    if isinstance(record, Ladder):
        row["id"] = record.id
    if isinstance(record, Game):
        row["first_day"] = record.first_day.isoformat() if record.first_day else None
        row["last_day"] = record.last_day.isoformat() if record.last_day else None
        # A record that is written again is back.
        row["removed_at"] = row["removal_reason"] = None
    return row


def _without_orphans(
    connection: Connection, changes: Sequence[Change]
) -> tuple[Sequence[Change], Sequence[Quarantined]]:
    stored = _stored_parents(connection, changes)
    accepted, refused = [], []
    # Parents first, so that the children of a refused record are refused with it.
    for change in sorted(changes, key=lambda change: list(TABLES).index(change.kind)):
        reason = _refusal(change, stored)
        if reason is not None:
            refused.append(Quarantined(kind=change.kind, record_id=change.record_id, reason=reason))
            continue
        accepted.append(change)
        stored[change.kind].add(change.record_id)
    return accepted, refused


def _refusal(change: Change, stored: Mapping[RecordKind, Collection[str]]) -> str | None:
    if change.action is Action.REMOVED:
        return None if change.kind is RecordKind.GAME else "only games are ever removed"
    missing = [
        f"{parent} {parent_id}" for parent, parent_id in _parents(change) if parent_id not in stored[parent]
    ]
    return f"not stored: {', '.join(missing)}" if missing else None


def _stored_parents(connection: Connection, changes: Sequence[Change]) -> dict[RecordKind, set[str]]:
    asked: dict[RecordKind, set[str]] = defaultdict(set)
    for change in changes:
        for parent, parent_id in _parents(change):
            asked[parent].add(parent_id)
    stored: dict[RecordKind, set[str]] = defaultdict(set)
    for parent, ids in asked.items():
        key = TABLES[parent].c.id
        for chunk in chunked(ids):
            stored[parent].update(connection.scalars(select(key).where(key.in_(chunk))))
    return stored


def _parents(change: Change) -> Iterator[tuple[RecordKind, str]]:
    if change.after is not None:
        for name, parent in _PARENTS[change.kind]:
            yield parent, getattr(change.after, name)
