"""Brings a database to the schema of this version; safe when several processes try at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Engine, inspect, text

from stores.sql.engine import reading, writing
from sync.errors import ConfigurationError

if TYPE_CHECKING:
    from alembic.config import Config

# Any constant will do, as long as every version uses the same.
_POSTGRES_LOCK = 7_203_551


_MIGRATIONS = Path(__file__).with_name("migrations")


def is_current(engine: Engine) -> bool:
    """Whether the newest migration is applied; quick, for commands that only look.

    Raises StoreUnavailable.
    """
    newest = max(path.stem for path in (_MIGRATIONS / "versions").glob("v*.py")).partition("_")[0]
    with reading(engine) as connection:
        if not inspect(connection).has_table("alembic_version"):
            return False
        return bool(connection.scalar(text("SELECT version_num FROM alembic_version")) == newest)


def check_schema(engine: Engine) -> None:
    """Raises ConfigurationError while migrations are missing, StoreUnavailable without an answer."""
    if not is_current(engine):
        raise ConfigurationError("the database lacks migrations: run clubsync migrate")


def upgrade(engine: Engine) -> None:
    """Run the missing migrations in one transaction; a second process waits and finds nothing to do.

    Raises StoreUnavailable when the database does not answer.
    """
    from alembic import command  # half a second that no other call pays

    config = _config()
    with writing(engine) as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_POSTGRES_LOCK})"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def pending(engine: Engine) -> tuple[str, ...]:
    """The revisions that are not applied yet, oldest first; empty when the schema is current."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    with reading(engine) as connection:
        applied = MigrationContext.configure(connection).get_current_heads()
    scripts = ScriptDirectory.from_config(_config())
    missing = [script.revision for script in scripts.iterate_revisions("heads", applied or "base")]
    return tuple(reversed(missing))


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    return config
