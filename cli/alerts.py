"""`clubsync alerts`: what is wrong now, what was, and which accounts are too old."""

from __future__ import annotations

import sys

import click

from cli.backend import Backend
from cli.output import ago, as_json, limit_option, print_json
from cli.tables import print_table
from sync.incident import Severity


@click.group(invoke_without_command=True)
@click.option("--all", "is_all", is_flag=True, help="Those that are over too.")
@limit_option(50)
@as_json
@click.pass_context
def alerts(context: click.Context, is_all: bool, limit: int, is_json: bool) -> None:
    """List open incidents, the latest first, with side and severity; exit 1 if one is worse than info."""
    if context.invoked_subcommand is not None:
        return
    from notifications.incidents import lasted
    from stores.sql.documents import incident_document

    backend = Backend()
    found = backend.stores.incidents.list(limit=limit, open_only=not is_all).items
    now = backend.clock.now()
    if is_json:
        print_json([incident_document(incident) for incident in found])
    else:
        print_table(
            ["id", "subject", "severity", "state", "since", "lasted", "what"],
            (
                [
                    incident.id,
                    incident.key,
                    incident.severity.value,
                    "open" if incident.is_open else "resolved",
                    ago(incident.opened_at),
                    lasted(incident, now),
                    incident.title,
                ]
                for incident in found
            ),
        )
    sys.exit(1 if any(one.is_open and one.severity is not Severity.INFO for one in found) else 0)


@alerts.command()
@click.argument("incident_id", metavar="ID")
@as_json
def show(incident_id: str, is_json: bool) -> None:
    """Show incident ID: what, since when, whose side, and what to do."""
    from notifications.incidents import text_of
    from stores.sql.documents import incident_document

    backend = Backend()
    incident = backend.stores.incidents.find(incident_id)
    if is_json:
        print_json(incident_document(incident))
    else:
        click.echo(text_of(incident, backend.clock.now()))


@alerts.command()
@limit_option(100)
@as_json
def stale(limit: int, is_json: bool) -> None:
    """List the accounts that are older than their class's freshness target, the oldest first."""
    backend = Backend()
    settings = backend.settings
    presets = [name for name, preset in settings.presets.items() if preset.games]
    total, found = backend.stores.freshness.stale(settings.freshness, presets=presets, limit=limit)
    if is_json:
        accounts = [
            {
                "account_id": account.account_id,
                "name": account.name,
                "type": account.kind,
                "fresh_at": account.fresh_at and account.fresh_at.isoformat().replace("+00:00", "Z"),
                "target_s": account.target_s,
            }
            for account in found
        ]
        print_json({"total": total, "accounts": accounts})
        return
    print_table(
        ["account", "name", "type", "last synced", "target h"],
        ([a.account_id, a.name, a.kind, ago(a.fresh_at), round(a.target_s / 3600, 1)] for a in found),
        title=f"{total} accounts are older than their target",
    )
