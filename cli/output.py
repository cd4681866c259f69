"""How answers look: tables for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

as_json = click.option("--json", "is_json", is_flag=True, help="Print JSON for programs.")

# What one answer may hold in memory.
LONGEST_LIST = 1_000_000

STATE_COLOURS = {
    "succeeded": "green",
    "partial": "yellow",
    "failed": "red",
    "running": "cyan",
    "deferred": "magenta",
}


def limit_option(default: int) -> Callable[[Any], Any]:
    """How many a list shows at most."""
    kind = click.IntRange(1, LONGEST_LIST)
    return click.option("--limit", type=kind, default=default, show_default=True)


def print_json(document: Any) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str | None = None) -> None:
    """A table that fits the terminal; numbers to the right."""
    from rich.table import Table  # 40 ms that `--json` need not pay

    table = Table(
        title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold"
    )
    materialised = [list(row) for row in rows]
    for index, column in enumerate(columns):
        is_numeric = all(isinstance(row[index], int | float | None) for row in materialised)
        # Ids are copied, so they are folded rather than cut.
        table.add_column(column, justify="right" if materialised and is_numeric else "left", overflow="fold")
    for row in materialised:
        table.add_row(*(_cell(value) for value in row))
    console().print(table)


def console() -> Any:
    """The terminal on standard output; 200 columns where there is none."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 200)


def describe_run(run: Mapping[str, Any]) -> str:
    """A finished run in a few lines."""
    state = run["outcome"] or run["state"]
    subject = f"account {run['account_id']}" if run["account_id"] else str(run["organisation_id"])
    seconds = f" in {run['duration_s']:.1f} s" if run["duration_s"] is not None else ""
    dry = " (dry run: nothing was written)" if run["dry_run"] else ""
    lines = [
        f"{run['mode']} sync of {subject}: {click.style(state, fg=STATE_COLOURS.get(state))}{seconds}{dry}"
    ]
    if run["message"]:
        lines.append(f"  {run['message']}")
    for name, stage in run["stages"].items():
        if stage["outcome"] == "skipped":
            continue
        counts = ", ".join(
            f"{stage[key]} {key}"
            for key in ("read", "created", "updated", "unchanged", "removed", "quarantined", "waiting")
            if stage[key]
        )
        lines.append(f"  {name:<18} {stage['outcome']:<9} {counts}")
        is_news = stage.get("message") not in (None, run["message"]) and name != "tracking"
        if is_news:
            lines.append(f"  {'':<18} {stage['message']}")
    requests = run["requests"]
    lines.append(f"  requests: {requests['sent']} sent, {requests['cache_hits']} from cache")
    return "\n".join(lines)


def describe_change(change: Mapping[str, Any]) -> str:
    """A change as a diff: what, and field by field from what to what."""
    sign = {"created": "+", "removed": "-", "restored": "+"}.get(change["action"], "~")
    colour = {"+": "green", "-": "red"}.get(sign, "yellow")
    head = click.style(f"{sign} {change['kind']} {change['record_id']} {change['action']}", fg=colour)
    if change["action"] != "updated":
        name = (change["after"] or change["before"] or {}).get("name")
        return f"{head}  {name}" if name else head
    fields = [
        f"    {field['name']}: {_short(field['before'])} → {_short(field['after'])}"
        for field in change["fields"]
    ]
    return "\n".join([head, *fields])


def ago(moment: datetime | None) -> str:
    """How long ago, in the largest unit that fits."""
    if moment is None:
        return "never"
    return f"{span(max(0.0, (datetime.now(UTC) - moment).total_seconds()))} ago"


def span(duration_s: float) -> str:
    """A duration in the largest unit that fits."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if duration_s >= size:
            return f"{duration_s / size:.0f} {unit}"
    return f"{duration_s:.0f} s"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return str(value)


def _short(value: Any, limit: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
