"""Writing and looking up many rows at once, in SQLite's and Postgres's common dialect."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table

# Well under the 32,766 variables that SQLite takes in one statement.
_CHUNK = 1000


def upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows, or overwrite the columns they name where the key exists.

    Rows go in the order of their keys, so that concurrent writers do not deadlock.
    """
    if not rows:
        return
    statement = _upsert_of(connection.dialect.name, table, tuple(rows[0]))
    connection.execute(statement, _in_order(rows, table))


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert the rows, in the order of their keys; those that are there already stay as they are."""
    if rows:
        statement = conflicting_insert(connection.dialect.name, table).on_conflict_do_nothing()
        connection.execute(statement, _in_order(rows, table))


def chunked(values: Collection[str], size: int = _CHUNK) -> Iterator[list[str]]:
    """The values in lists short enough for one `IN`."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def conflicting_insert(dialect: str, table: Table) -> Any:
    """An INSERT that takes an ON CONFLICT clause; `dialect` is sqlite or postgresql."""
    # Only the one in use: the other would take 2 MB of every process.
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


@lru_cache
def _upsert_of(dialect: str, table: Table, columns: Sequence[str]) -> Any:
    """Kept, because it takes longer to build than SQLite takes to carry it out for one row."""
    keys = _keys_of(table)
    statement = conflicting_insert(dialect, table)
    return statement.on_conflict_do_update(
        index_elements=keys, set_={name: statement.excluded[name] for name in columns if name not in keys}
    )


def _in_order(rows: Sequence[Mapping[str, Any]], table: Table) -> Sequence[Mapping[str, Any]]:
    keys = [key for key in _keys_of(table) if key in rows[0]]
    return sorted(rows, key=lambda row: [row[key] for key in keys])


def _keys_of(table: Table) -> Sequence[str]:
    return [column.name for column in table.primary_key]
