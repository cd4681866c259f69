"""`clubsync audit`: who did what, and when."""

from __future__ import annotations

from dataclasses import asdict

import click

from cli.backend import Backend
from cli.output import as_json, limit_option, print_json, print_table


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
        ["at", "who", "from", "did", "to", "detail"],
        (
            [f"{e.at:%Y-%m-%d %H:%M:%S}", e.actor, e.source, e.action, e.subject, dict(e.detail) or ""]
            for e in entries
        ),
    )
