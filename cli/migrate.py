"""`clubsync migrate`: the release step of a deployment."""

from __future__ import annotations

import click

from cli.backend import load_settings, migrate_database


@click.command()
def migrate() -> None:
    """Bring the database's tables up to date; safe to run twice and from two places."""
    migrate_database(load_settings())
    click.echo("the database is up to date")
