"""`clubsync doctor`: looks everywhere, explains what it finds, and says the mend."""

from __future__ import annotations

import sys

import click

from cli.output import as_json

TIMEOUT_S = 10.0


@click.command(
    epilog="""\b
Examples:
  clubsync doctor                  everything, and what to do about it
  clubsync doctor --json | jq '.findings[] | select(.is_good | not)'
"""
)
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(min=0.1),
    default=TIMEOUT_S,
    help="Seconds that a check may take.",
)
@as_json
def doctor(timeout_s: float, is_json: bool) -> None:
    """Find what is wrong, explain it and say the mend; exit 1 if anything is."""
    from cli.examination import show_examination

    sys.exit(0 if show_examination(timeout_s, is_json=is_json) else 1)
