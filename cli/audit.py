"""`clubsync audit`: who did what, and when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import click

from cli.backend import Backend
from cli.output import as_json, limit_option, moment, print_json
from cli.tables import print_table


@click.command()
@click.option("--subject", help="Of this account, queue, worker or setting.")
@limit_option(50)
@as_json
def audit(subject: str | None, limit: int, is_json: bool) -> None:
    """Show the audit trail, the latest first; it is only ever appended to."""
    entries = Backend().stores.audit.list(limit=limit, subject=subject).items
    if is_json:
        print_json(
            [{**asdict(entry), "at": entry.at.isoformat().replace("+00:00", "Z")} for entry in entries]
        )
        return
    print_table(
        ["at (UTC)", "who", "from", "did", "to", "detail"],
        ([moment(e.at), e.actor, e.source, e.action, e.subject, _detail(e.detail)] for e in entries),
    )


def _detail(detail: Mapping[str, Any]) -> str:
    """Its values as JSON; texts as they are."""
    return "  ".join(
        f"{key} {value if isinstance(value, str) else json.dumps(value, default=str)}"
        for key, value in detail.items()
    )
