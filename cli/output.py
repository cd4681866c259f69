"""How answers look: lines for people, JSON for programs; tables are in tables.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
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
    """Times become ISO 8601 in UTC, as everywhere else that programs read."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False, default=_plain))


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


def moment(at: datetime) -> str:
    """A time as an operator reads it, in UTC."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def span(duration_s: float) -> str:
    """A duration in the largest unit that fits."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if duration_s >= size:
            return f"{duration_s / size:.0f} {unit}"
    return f"{duration_s:.0f} s"


def _plain(value: Any) -> str:
    return (
        value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        if isinstance(value, datetime)
        else str(value)
    )


def _short(value: Any, limit: int = 80) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
