"""`clubsync top`: the live view of a terminal."""

from __future__ import annotations

import click

from cli.output import as_json

EVERY_S = 2.0


@click.command(
    epilog="""\b
Examples:
  clubsync top                     refreshed every two seconds; Ctrl-C ends it
  clubsync top --every 0.5
  clubsync top --once | less       one look, for a pipe or a report
"""
)
@click.option("--every", "every_s", type=click.FloatRange(min=0.2), default=EVERY_S, help="Seconds between.")
@click.option("--once", "is_once", is_flag=True, help="Look once and end.")
@as_json
def top(every_s: float, is_once: bool, is_json: bool) -> None:
    """Watch queues, running syncs, processes and incidents live."""
    from cli.top_view import show_top

    show_top(every_s, is_once=is_once, is_json=is_json)
