"""`clubsync plugins`: what entry points added."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

import click

from cli.output import as_json, print_json, print_table

GROUPS = ("clubsync.providers", "clubsync.cms", "clubsync.channels")


@click.command()
@as_json
def plugins(is_json: bool) -> None:
    """List providers, CMSs and channels with their packages, and whether they load."""
    rows = [_describe(entry) for group in GROUPS for entry in entry_points(group=group)]
    if is_json:
        print_json(rows)
    else:
        columns = ["kind", "name", "package", "version", "health"]
        print_table(columns, ([row[column] for column in columns] for row in rows))


def _describe(entry: EntryPoint) -> dict[str, str]:
    try:
        entry.load()
        health = "ok"
    except Exception as error:  # noqa: BLE001 (a stranger's package may raise anything)
        health = f"broken: {type(error).__name__}: {error}"
    return {
        "kind": entry.group.removeprefix("clubsync."),
        "name": entry.name,
        "package": entry.dist.name if entry.dist else "?",
        "version": entry.dist.version if entry.dist else "?",
        "health": health,
    }
