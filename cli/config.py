"""`clubsync config`: what is configured, whether it can be, and how it changes."""

from __future__ import annotations

import click

from cli import versions
from cli.output import as_json, print_json, print_table
from settings.documents import describe
from settings.loader import load, masked


@click.group()
def config() -> None:
    """Check, show and change the settings."""


for command in (versions.history, versions.show_difference, versions.change, versions.rollback):
    config.add_command(command)


@config.command()
@as_json
def check(is_json: bool) -> None:
    """Report every mistake of every layer at once; exit 2 if there is one."""
    loaded = load()
    if is_json:
        print_json({"valid": True, "version": loaded.fingerprint})
    else:
        click.echo(f"the settings are valid (version {loaded.fingerprint})")


@config.command()
@click.option("--origin", "with_origin", is_flag=True, help="Say where each value comes from.")
@as_json
def show(with_origin: bool, is_json: bool) -> None:
    """Show what is in force; secrets are masked."""
    loaded = load()
    if is_json:
        values = masked(loaded.settings)
        print_json({"values": values, "origins": dict(loaded.origins)} if with_origin else values)
        return
    columns = ["setting", "value", "origin"] if with_origin else ["setting", "value"]
    print_table(columns, ([row.key, row.value, row.origin][: len(columns)] for row in describe(loaded)))
