"""What the demo shows: tables and diffs for people, one document for programs."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from cli.output import describe_change
from cli.tables import print_table

NAME_WIDTH = 26  # the table fits 100 columns
COUNTS = ("read", "created", "updated", "unchanged", "removed")


def totals(run: Mapping[str, Any]) -> dict[str, int]:
    """The run's counts over all stages."""
    return {count: sum(stage[count] for stage in run["stages"].values()) for count in COUNTS}


def written(runs: Iterable[Mapping[str, Any]]) -> int:
    """How many records the runs wrote."""
    return sum(counts["created"] + counts["updated"] + counts["removed"] for counts in map(totals, runs))


def show_runs(title: str, runs: Sequence[Mapping[str, Any]], names: Mapping[int, str]) -> None:
    """A row for each run, and what they come to."""
    rows: list[list[Any]] = []
    for run in runs:
        counts = totals(run)
        requests = run["requests"]
        rows.append(
            [
                run["account_id"],
                textwrap.shorten(names.get(run["account_id"], ""), NAME_WIDTH, placeholder="…"),
                run["outcome"],
                *(counts[count] for count in COUNTS),
                requests["sent"],
                requests["cache_hits"],
                run["duration_s"],
            ]
        )
    if len(rows) > 1:
        sums = [sum(row[column] for row in rows) for column in range(3, 10)]
        rows.append([None, "all", None, *sums, None])
    columns = ["account", "name", "outcome", *COUNTS, "requests", "cached", "seconds"]
    print_table(columns, rows, title=f"\n{title}")


def show_changes(asked: Sequence[Mapping[str, Any]], wrote: Sequence[Mapping[str, Any]]) -> None:
    """What changed at the provider, and the diff of what the sync wrote."""
    click.echo("\nThe provider changes:")
    for answer in asked:
        records = ", ".join(f"{change['record']} {change['id']}" for change in answer["changes"])
        click.echo(f"  {answer['kind']}: {records}")
    click.echo("\nThe next sync writes:")
    for change in wrote:
        click.echo("  " + describe_change(change).replace("\n", "\n  "))
