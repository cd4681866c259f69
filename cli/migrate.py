"""`clubsync migrate`: the release step of a deployment."""

from __future__ import annotations

import click

from settings.loader import load
from stores.sql.engine import open_engine
from stores.sql.migrate import upgrade


@click.command()
def migrate() -> None:
    """Bring the database's tables up to date; safe to run twice and from two places."""
    settings = load().settings
    engine = open_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s)
    upgrade(engine)
    click.echo("the database is up to date")
