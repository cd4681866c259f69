"""`clubsync config`: what is configured, whether it can be, and how it changes."""

from __future__ import annotations

import dataclasses
import sys

import click

from cli import versions
from cli.canary import canary
from cli.output import as_json, print_json, print_table
from settings.documents import describe
from settings.loader import InvalidSettings, load, masked

WRONG_USE = 2


@click.group()
def config() -> None:
    """Check, show and change the settings."""


for command in (versions.history, versions.show_difference, versions.change, versions.rollback, canary):
    config.add_command(command)


@config.command()
@as_json
def check(is_json: bool) -> None:
    """Report every mistake of every layer at once; exit 2 if there is one."""
    try:
        loaded = load()
    except InvalidSettings as error:
        if not is_json:
            raise
        print_json({"valid": False, "problems": [dataclasses.asdict(one) for one in error.problems]})
        sys.exit(WRONG_USE)
    if is_json:
        print_json({"valid": True, "version": loaded.fingerprint})
    else:
        click.echo(f"the settings are valid (version {loaded.fingerprint})")


@config.command()
@click.option("--origin", "with_origin", is_flag=True, help="Say where each value comes from.")
@as_json
def show(with_origin: bool, is_json: bool) -> None:
    """Show what is in force, live changes among it if Redis can be asked; secrets are masked."""
    loaded = load(overrides=versions.live_overrides())
    if is_json:
        values = masked(loaded.settings)
        print_json({"values": values, "origins": dict(loaded.origins)} if with_origin else values)
        return
    columns = ["setting", "value", "origin"] if with_origin else ["setting", "value"]
    print_table(columns, ([row.key, row.value, row.origin][: len(columns)] for row in describe(loaded)))
