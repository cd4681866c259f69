"""What is stored of one organisation, as the documents that other programs read.

A club's export holds the seasons of its associations, the grades with one of its teams
or games, all teams of those grades, and of the games only its own.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec
from sqlalchemy import Column, Connection, Engine, Select, select

from stores.sql.engine import reading
from stores.sql.tables import games, grades, ladders, organisations, seasons, teams
from stores.sql.upserts import chunked
from sync.errors import NotFound
from sync.model import OrganisationKind

Documents = Iterator[Mapping[str, Any]]

_SEASON_KEYS = (
    *("id", "name", "status", "competition_id", "competition_name"),
    *("association_id", "association_name", "first_day", "last_day"),
)
_GRADE_KEYS = ("id", "name", "season_id", "url", "first_day", "last_day")
_TEAM_KEYS = ("id", "name", "club_id", "club_name", "grade_id", "season_id")


class Exports:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def read(self, kind: OrganisationKind, organisation_id: str) -> dict[str, list[Mapping[str, Any]]]:
        """The whole export, in memory. Raises NotFound when nothing is stored."""
        return {name: list(documents) for name, documents in self._sections(kind, organisation_id)}

    def stream(self, kind: OrganisationKind, organisation_id: str) -> Iterator[str]:
        """The export as pieces of one JSON text. Raises NotFound before the first piece."""
        separator = "{"
        for name, documents in self._sections(kind, organisation_id):
            yield f'{separator}"{name}": ['
            for place, document in enumerate(documents):
                yield f"{',' if place else ''}\n{msgspec.json.encode(document).decode()}"
            yield "]"
            separator = ",\n"
        yield "}\n"

    def _sections(self, kind: OrganisationKind, organisation_id: str) -> Iterator[tuple[str, Documents]]:
        with reading(self._engine) as connection:
            scope = _scope_of(connection, kind, organisation_id)
            yield "seasons", _plain(connection, seasons.c.id, scope.season_ids, _SEASON_KEYS)
            yield "grades", _plain(connection, grades.c.id, scope.grade_ids, _GRADE_KEYS)
            yield "teams", _plain(connection, teams.c.id, scope.team_ids, _TEAM_KEYS)
            yield "games", _games(connection, scope.game_ids)
            yield "ladders", _ladders(connection, scope.grade_ids)


class _Scope(msgspec.Struct, frozen=True):
    """The ids of everything in an export, sorted, so that two exports can be compared."""

    season_ids: list[str]
    grade_ids: list[str]
    team_ids: list[str]
    game_ids: list[str]


def _scope_of(connection: Connection, kind: OrganisationKind, organisation_id: str) -> _Scope:
    known = connection.execute(select(organisations).where(organisations.c.id == organisation_id)).first()
    if kind is OrganisationKind.ASSOCIATION:
        scope = _association_scope(connection, organisation_id)
    else:
        scope = _club_scope(connection, organisation_id, known.association_ids if known else ())
    if known is None and not scope.season_ids:
        raise NotFound(f"nothing is stored of {kind.value} {organisation_id}")
    return scope


def _association_scope(connection: Connection, association_id: str) -> _Scope:
    season_ids = _ids(connection, select(seasons.c.id), seasons.c.association_id, [association_id])
    grade_ids = _ids(connection, select(grades.c.id), grades.c.season_id, season_ids)
    return _Scope(
        season_ids=sorted(season_ids),
        grade_ids=sorted(grade_ids),
        team_ids=sorted(_ids(connection, select(teams.c.id), teams.c.season_id, season_ids)),
        game_ids=sorted(_ids(connection, _stored_games(games.c.id), games.c.grade_id, grade_ids)),
    )


def _club_scope(connection: Connection, club_id: str, association_ids: Collection[str]) -> _Scope:
    own = connection.execute(select(teams).where(teams.c.club_id == club_id)).all()
    own_ids = [team.id for team in own]
    played: dict[str, Any] = {}
    for side in (games.c.home_id, games.c.away_id):
        query = _stored_games(games.c.id, games.c.grade_id, games.c.home_id, games.c.away_id)
        for chunk in chunked(own_ids):
            played.update({game.id: game for game in connection.execute(query.where(side.in_(chunk)))})
    season_ids = _ids(connection, select(seasons.c.id), seasons.c.association_id, association_ids)
    grade_ids = {team.grade_id for team in own if team.grade_id is not None}
    grade_ids |= {game.grade_id for game in played.values()}
    team_ids = _ids(connection, select(teams.c.id), teams.c.grade_id, grade_ids)
    team_ids.update(own_ids, *((game.home_id, game.away_id) for game in played.values()))
    return _Scope(
        season_ids=sorted(season_ids | {team.season_id for team in own}),
        grade_ids=sorted(grade_ids),
        team_ids=sorted(team_ids),
        game_ids=sorted(played),
    )


def _stored_games(*columns: Column[Any]) -> Select[Any]:
    return select(*columns).where(games.c.removed_at.is_(None))


def _ids(
    connection: Connection, query: Select[Any], column: Column[Any], values: Collection[str]
) -> set[str]:
    found: set[str] = set()
    for chunk in chunked(values):
        found.update(connection.scalars(query.where(column.in_(chunk))))
    return found


def _plain(connection: Connection, key: Column[str], ids: list[str], names: tuple[str, ...]) -> Documents:
    for chunk in chunked(ids):
        for row in connection.execute(select(key.table).where(key.in_(chunk)).order_by(key)):
            # What the provider never told is stored as an empty text where a column needs one.
            yield {name: getattr(row, name) or None for name in names}


def _games(connection: Connection, ids: list[str]) -> Documents:
    for chunk in chunked(ids):
        for row in connection.execute(select(games).where(games.c.id.in_(chunk)).order_by(games.c.id)):
            document = {
                "id": row.id,
                "grade_id": row.grade_id,
                "round": row.round,
                "status": row.status,
                "type": row.type,
                "first_day": row.first_day,
                "last_day": row.last_day,
                "days": [_day(day) for day in row.days],
                "home_id": row.home_id,
                "away_id": row.away_id,
                "outcomes": row.outcomes,
                "url": row.url,
            }
            if row.innings or not row.points:
                document["innings"] = row.innings
            if row.points:
                document["points"] = row.points
            yield document


def _day(day: Mapping[str, Any]) -> Mapping[str, Any]:
    return {
        "date": day["day"],
        "time": day["start"],
        "utc": day["utc"],
        "zone": day["zone"],
        "ground": day["ground"],
        "venue": day["venue"],
    }


def _ladders(connection: Connection, grade_ids: list[str]) -> Documents:
    for chunk in chunked(grade_ids):
        query = select(ladders).where(ladders.c.grade_id.in_(chunk)).order_by(ladders.c.id)
        for row in connection.execute(query):
            yield {"grade_id": row.grade_id, "type": row.type, "pool_id": row.pool_id, "rows": row.rows}
