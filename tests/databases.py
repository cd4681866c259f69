"""Databases for tests: SQLite files and, where its binaries are installed, a private Postgres."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from stores.sql import migrate
from stores.sql.engine import open_engine
from tests.ports import free_port

_START_DEADLINE_S = 60.0
_SECRET = "postgres-test-password"  # never to be seen in an error


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a private server's default database; it ends with the tests.

    Skips without the binaries, unless TEST_REQUIRE=all makes that a failure.
    """
    binaries = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if not binaries:
        reason = "no Postgres binaries in /usr/lib/postgresql: apt-get install postgresql"
        if os.environ.get("TEST_REQUIRE") == "all":
            pytest.fail(reason)
        pytest.skip(reason)
    with (tmp_path_factory.mktemp("postgres") / "log").open("wb") as log:
        yield from _serve(binaries[-1].parent, log)


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> str:
    """The name of a migrated database to make others from."""
    with _database(postgres_server, "migrated", keeps=True) as url, _opened(url) as engine:
        migrate.upgrade(engine)
    return "migrated"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("migrated") / "migrated.db"
    with _opened(f"sqlite:///{path}") as engine:
        migrate.upgrade(engine)
    return path


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The address of an empty Postgres database of this test's own."""
    with _database(postgres_server, f"t{uuid.uuid4().hex[:12]}") as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The address of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path}/test.db"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """An empty database, once of each kind."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def empty_engine(database_url: str) -> Iterator[Engine]:
    """An engine on an empty database, once of each kind."""
    with _opened(database_url) as engine:
        yield engine


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    """An engine on a migrated database, once of each kind."""
    engine: Engine = request.getfixturevalue(f"{request.param}_engine")
    return engine


@pytest.fixture
def sqlite_engine(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Engine]:
    """An engine on a migrated SQLite file."""
    path = shutil.copy(migrated_sqlite, tmp_path / "migrated.db")
    with _opened(f"sqlite:///{path}") as engine:
        yield engine


@pytest.fixture
def postgres_engine(postgres_server: str, migrated_postgres: str) -> Iterator[Engine]:
    """An engine on a migrated Postgres database."""
    name = f"t{uuid.uuid4().hex[:12]}"
    with _database(postgres_server, name, template=migrated_postgres) as url, _opened(url) as engine:
        yield engine


@contextmanager
def _database(server: str, name: str, *, template: str = "template0", keeps: bool = False) -> Iterator[str]:
    with psycopg.connect(server, autocommit=True) as connection:
        # By default the pages go through the log, which takes twice as long.
        has_strategies = connection.info.server_version >= 150_000
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
            sql.Identifier(name), sql.Identifier(template)
        )
        connection.execute(create + sql.SQL(" STRATEGY FILE_COPY") if has_strategies else create)
    yield server.removesuffix("postgres") + name
    if keeps:
        return
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    engine = open_engine(url, busy_timeout_s=10)
    yield engine
    engine.dispose()


def _serve(binaries: Path, log: IO[bytes]) -> Iterator[str]:
    # Not in pytest's folder: Postgres refuses to run as root, and another user cannot look in there.
    folder = Path(tempfile.mkdtemp(prefix="clubsync-postgres-"))
    user = None
    if os.geteuid() == 0:
        user = "postgres"
        shutil.chown(folder, user)
    try:
        password_file = folder / "password"
        password_file.write_text(_SECRET)
        password_file.chmod(0o644)
        initialise: list[str | Path] = [
            *(binaries / "initdb", "-D", folder / "data", "-U", "clubsync", "-A", "scram-sha-256"),
            *(f"--pwfile={password_file}", "--no-sync", "-E", "UTF8", "--locale=C.UTF-8"),
        ]
        subprocess.run(initialise, check=True, capture_output=True, cwd=folder, user=user)
        port = free_port()
        serve: list[str | Path] = [
            *(binaries / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder),
            *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "max_connections=60"),
        ]
        with subprocess.Popen(serve, stdout=log, stderr=log, cwd=folder, user=user) as server:
            try:
                address = f"postgresql://clubsync:{_SECRET}@127.0.0.1:{port}/postgres"
                _wait_for(address)
                yield address
            finally:
                # Fast shutdown: it does not wait for clients.
                server.send_signal(signal.SIGINT)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(address: str) -> None:
    deadline_s = time.monotonic() + _START_DEADLINE_S
    while True:
        try:
            psycopg.connect(address).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)  # a server has no event to wait for
        else:
            return
