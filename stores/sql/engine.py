"""Opens SQLite or Postgres, and the two kinds of transaction that the stores use.

Under gevent nothing here may freeze the hub: psycopg 3 waits cooperatively, and
SQLite, which cannot, is never left to wait for its write lock in C.
"""

from __future__ import annotations

import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, OperationalError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from sync.errors import ConfigurationError, InvalidRequest, StoreUnavailable

T = TypeVar("T")

# Readers of a WAL database only wait while another process recovers it after a crash.
_SQLITE_READ_WAIT_MS = 1000
# A writer asks, and sleeps cooperatively between its questions.
_SQLITE_WRITE_WAIT_MS = 1
_SQLITE_RETRY_S = 0.005
_POSTGRES_CONNECT_TIMEOUT_S = 5
# 32 greenlets share them: transactions are short, and small plans allow 20 connections.
_POSTGRES_POOL_SIZE = 8
_POSTGRES_POOL_WAIT_S = 30.0
_DEADLOCK = "40P01"
_DEADLOCKS_AT_MOST = 3
# Each SQLite read holds one for a moment; a web process reads from 40 threads.
_SQLITE_POOL_SIZE = 4
_SQLITE_POOL_OVERFLOW = 36

_UNSTORABLE = "a value is out of range, or holds what the database cannot store"


class Deadlocked(StoreUnavailable):
    """Transactions waited for each other, and the database ended this one for the sake of another."""


def open_engine(url: str, *, busy_timeout_s: float) -> Engine:
    """An engine for `sqlite:///path`, `postgres://` or `postgresql://`; connects later.

    `busy_timeout_s` bounds how long a SQLite writer waits for other writers. Raises
    ConfigurationError for an address that cannot work; never shows a password.
    """
    address = _read_url(url)
    if address.get_backend_name() == "sqlite":
        return _open_sqlite(address, busy_timeout_s)
    return create_engine(
        address,
        pool_size=_POSTGRES_POOL_SIZE,
        max_overflow=_POSTGRES_POOL_SIZE,
        pool_timeout=_POSTGRES_POOL_WAIT_S,
        pool_pre_ping=True,
        hide_parameters=True,
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        connect_args={"connect_timeout": _POSTGRES_CONNECT_TIMEOUT_S, "application_name": "clubsync"},
    )


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads, from one snapshot on SQLite.

    Raises StoreUnavailable when the database does not answer.
    """
    with _translated(engine), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes: committed at the end, rolled back on any error.

    On SQLite one writer works at a time. Raises StoreUnavailable when the database
    does not answer, or stays locked by other writers for the engine's `busy_timeout_s`.
    """
    options: Any = engine.get_execution_options()
    turn: threading.Lock | None = options.get("write_turn")
    if turn is None:
        with _translated(engine), engine.begin() as connection:
            yield connection
        return
    # The turn is taken before the connection: waiting writers must not use up the pool.
    if not turn.acquire(timeout=options["busy_timeout_s"]):
        raise StoreUnavailable(f"the database stayed locked for {options['busy_timeout_s']} s")
    try:
        with (
            _translated(engine),
            engine.connect().execution_options(is_writing=True) as connection,
            connection.begin(),
        ):
            yield connection
    finally:
        turn.release()


def carry_out(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Do repeatable work in one writing transaction, again at once when it ended in a deadlock.

    Postgres has rows locked in the order in which they became visible, which no order of ours can
    foresee while several runs create the same records. Raises StoreUnavailable as `writing` does.
    """
    for _ in range(_DEADLOCKS_AT_MOST):
        try:
            with writing(engine) as connection:
                return work(connection)
        except Deadlocked:
            continue
    with writing(engine) as connection:
        return work(connection)


def ping(engine: Engine) -> None:
    """Ask the database for a sign of life. Raises StoreUnavailable."""
    with reading(engine) as connection:
        connection.execute(text("SELECT 1"))


def _read_url(url: str) -> URL:
    try:
        address = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "database.url: not an address; write sqlite:///path/file.db or postgresql://user:password@host/name"
        ) from error
    if address.drivername in ("postgres", "postgresql"):
        return address.set(drivername="postgresql+psycopg")
    if address.drivername in ("postgresql+psycopg", "sqlite"):
        return address
    raise ConfigurationError(
        f"database.url: {address.drivername} is not supported; use sqlite:/// or postgresql://"
    )


def _open_sqlite(address: URL, busy_timeout_s: float) -> Engine:
    if not address.database or address.database == ":memory:":
        raise ConfigurationError(
            "database.url: SQLite needs a file that all processes share, as sqlite:///var/clubsync.db"
        )
    try:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"database.url: cannot make the folder of {address.database}: {error.strerror}"
        ) from error
    engine = create_engine(
        address,
        pool_size=_SQLITE_POOL_SIZE,
        max_overflow=_SQLITE_POOL_OVERFLOW,
        hide_parameters=True,
        json_serializer=_to_json,
        json_deserializer=msgspec.json.decode,
        execution_options={"write_turn": threading.Lock(), "busy_timeout_s": busy_timeout_s},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    # The driver must not begin transactions by itself: _begin_sqlite decides which kind.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {_SQLITE_READ_WAIT_MS}")
    connection.execute("PRAGMA journal_mode = WAL")
    # In WAL mode this loses nothing when a process dies, only when the machine does.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    # The driver's own: SQLAlchemy takes ten times as long for a statement as SQLite for these.
    driver: Any = connection.connection.driver_connection
    options: Any = connection.get_execution_options()
    if not options.get("is_writing"):
        driver.execute("BEGIN")
        return
    # Taking the write lock at once keeps a transaction from failing half-way.
    deadline_s = time.monotonic() + options["busy_timeout_s"]
    driver.execute(f"PRAGMA busy_timeout = {_SQLITE_WRITE_WAIT_MS}")
    try:
        while True:
            try:
                driver.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() >= deadline_s:
                    raise StoreUnavailable(
                        f"{_place(connection.engine.url)} did not answer: {error}"
                    ) from error
                # Spread apart, so that processes waiting for each other do not march in step.
                time.sleep(_SQLITE_RETRY_S * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            else:
                return
    finally:
        driver.execute(f"PRAGMA busy_timeout = {_SQLITE_READ_WAIT_MS}")


def _to_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (OperationalError, PoolTimeoutError) as error:
        if getattr(getattr(error, "orig", None), "sqlstate", None) == _DEADLOCK:
            raise Deadlocked(f"{_place(engine.url)}: {_reason(error)}") from error
        raise StoreUnavailable(f"{_place(engine.url)} did not answer: {_reason(error)}") from error
    except (DataError, OverflowError, UnicodeEncodeError) as error:
        raise InvalidRequest(_UNSTORABLE) from error
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise StoreUnavailable(f"{_place(engine.url)} broke off: {_reason(error)}") from error
    except StatementError as error:
        # A value that could not even be bound: a time beyond the calendar, half a surrogate pair.
        if not isinstance(error.orig, OverflowError | ValueError):
            raise
        raise InvalidRequest(_UNSTORABLE) from error


def _place(address: URL) -> str:
    if address.get_backend_name() == "sqlite":
        return f"the SQLite file {address.database}"
    return f"Postgres at {address.host or 'the local socket'}:{address.port or 5432}/{address.database}"


def _reason(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return str(cause).strip().partition("\n")[0]
