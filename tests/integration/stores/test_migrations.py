"""Migrations lead to the schema that the code uses, whoever runs them and however often."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from stores.sql import migrate
from stores.sql.engine import reading, writing
from stores.sql.tables import metadata, organisations, seasons

UPGRADE = """
import sys
from stores.sql import migrate
from stores.sql.engine import open_engine
print("ready", flush=True)
sys.stdin.readline()
migrate.upgrade(open_engine(sys.argv[1], busy_timeout_s=60))
"""


def test_migrated_schema_is_the_one_in_the_code(engine: Engine) -> None:
    with reading(engine) as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        differences = compare_metadata(context, metadata)

    assert differences == []


def test_migrated_tables_are_those_of_the_code(engine: Engine) -> None:
    tables = set(inspect(engine).get_table_names())

    assert tables == {*metadata.tables, "alembic_version"}


def test_pending_migrations_are_listed_oldest_first(empty_engine: Engine) -> None:
    before = migrate.pending(empty_engine)
    migrate.upgrade(empty_engine)

    assert before[0] == "v0001"
    assert list(before) == sorted(before)
    assert migrate.pending(empty_engine) == ()


def test_only_a_database_with_every_migration_is_current(empty_engine: Engine) -> None:
    assert not migrate.is_current(empty_engine)
    migrate.upgrade(empty_engine)
    assert migrate.is_current(empty_engine)


def test_upgrading_twice_changes_nothing(engine: Engine) -> None:
    migrate.upgrade(engine)

    assert migrate.pending(engine) == ()


def test_two_processes_may_upgrade_at_once(database_url: str, empty_engine: Engine) -> None:
    command = [sys.executable, "-c", UPGRADE, database_url]
    pipes: Any = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "text": True,
    }
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=90)[1] for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], errors
    assert migrate.pending(empty_engine) == ()


def test_seasons_stored_before_are_those_of_their_association_or_of_the_run_that_wrote_them(
    empty_engine: Engine,
) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).with_name("migrations")))
    columns = {"name": "", "status": ""}
    with writing(empty_engine) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "v0010")
        connection.execute(
            organisations.insert(),
            {"provider": "tennis", "id": "a", "kind": "association", "association_ids": []},
        )
        for season_id, association_id in (("1", "a"), ("2", "b")):
            of = {"id": season_id, "association_id": association_id, **columns}
            connection.execute(seasons.insert().values(**of))
    migrate.upgrade(empty_engine)
    with reading(empty_engine) as connection:
        rows = connection.execute(text("SELECT id, provider FROM seasons ORDER BY id")).all()

    assert [tuple(row) for row in rows] == [("1", "tennis"), ("2", None)]
