"""`clubsync status`: one verdict on the whole system, and why."""

from __future__ import annotations

import sys

import click

from cli.output import as_json


@click.command()
@as_json
def status(is_json: bool) -> None:
    """Say whether the system works; exit 1 if somebody should act, with what to do."""
    from cli.surroundings import show_status

    sys.exit(0 if show_status(is_json=is_json) else 1)
