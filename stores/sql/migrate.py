"""Brings a database to the schema of this version; safe when several processes try at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from stores.sql.engine import reading, writing

# Any constant will do, as long as every version uses the same.
_POSTGRES_LOCK = 7_203_551


def upgrade(engine: Engine) -> None:
    """Run the missing migrations in one transaction; a second process waits and finds nothing to do.

    Raises StoreUnavailable when the database does not answer.
    """
    config = _config()
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def pending(engine: Engine) -> tuple[str, ...]:
    """The revisions that are not applied yet, oldest first; empty when the schema is current."""
    with reading(engine) as connection:
        applied = MigrationContext.configure(connection).get_current_heads()
    scripts = ScriptDirectory.from_config(_config())
    missing = [script.revision for script in scripts.iterate_revisions("heads", applied or "base")]
    return tuple(reversed(missing))


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    return config
