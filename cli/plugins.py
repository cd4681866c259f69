"""`clubsync plugins`: what entry points added."""

from __future__ import annotations

import dataclasses

import click

from cli.output import as_json, print_json
from cli.tables import print_table


@click.command()
@as_json
def plugins(is_json: bool) -> None:
    """List all that packages add (providers, CMSs, channels, checks, stages, presets), and its health."""
    from settings.plugins import installed

    rows = [dataclasses.asdict(plugin) for plugin in installed()]
    if is_json:
        print_json(rows)
    else:
        columns = ["kind", "name", "package", "version", "target", "health"]
        print_table(columns, ([row[column] for column in columns] for row in rows))
