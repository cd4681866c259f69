"""`clubsync demo`: the main job, end to end."""

from __future__ import annotations

import sys

import click

from cli.output import as_json


@click.command()
@click.option("--keep", is_flag=True, help="Leave everything running and print the addresses.")
@as_json
def demo(keep: bool, is_json: bool) -> None:
    """Show the main job, end to end, on embedded defaults and a simulated provider."""
    from cli.demonstration import show_demo

    sys.exit(show_demo(is_keeping=keep, is_json=is_json))
