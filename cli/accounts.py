"""`clubsync accounts`: who is kept in step."""

from __future__ import annotations

from dataclasses import asdict
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, TextIO

import click

from cli.backend import Backend
from cli.output import STATE_COLOURS, ago, as_json, limit_option, print_json, span
from cli.tables import Painted, print_table
from stores.sql.documents import account_document, change_document, run_document
from sync.cadence import judge
from sync.counting import counted
from sync.errors import InvalidRequest
from sync.model import Account, OrganisationKind

if TYPE_CHECKING:
    from stores.sql.account_files import Providers

TIMELINE_LENGTH = 20


@click.group()
def accounts() -> None:
    """List, add, import and show accounts, and say why one is not synced."""


@accounts.command(name="list")
@click.option("--type", "kind", type=click.Choice(["club", "association"]))
@click.option("--tag", help="With this tag.")
@click.option("--plan", help="On this plan.")
@click.option("--name", help="Whose name contains this.")
@limit_option(50)
@as_json
def list_accounts(
    kind: str | None, tag: str | None, plan: str | None, name: str | None, limit: int, is_json: bool
) -> None:
    """Show accounts by id, with how their last run ended."""
    from stores.sql.accounts import AccountFilter

    backend = Backend()
    wanted = AccountFilter(kind=OrganisationKind(kind) if kind else None, tag=tag, plan=plan, name=name)
    page = backend.stores.accounts.list(wanted, limit=limit)
    if is_json:
        print_json([account_document(account) for account in page.items])
        return
    print_table(
        ["id", "type", "name", "organisation", "tags", "set up", "last run", "when"],
        (_row(backend, account) for account in page.items),
    )
    if page.next_cursor is not None:
        click.echo(f"… more than {limit}: raise --limit, or narrow with --type, --tag, --name", err=True)


@accounts.command()
@click.option("--type", "kind", required=True, type=click.Choice(["club", "association"]))
@click.option("--name", required=True)
@click.option("--provider", help="Default: providers.default.")
@click.option("--organisation", required=True, metavar="UUID", help="The provider's id of it.")
@click.option("--associations", metavar="UUID,…", help="Of a club; else learned from its seasons.")
@click.option("--tag", "tags", multiple=True)
@click.option("--plan", help="What the customer pays for, as you name it.")
@as_json
def add(
    kind: str,
    name: str,
    provider: str | None,
    organisation: str,
    associations: str | None,
    tags: tuple[str, ...],
    plan: str | None,
    is_json: bool,
) -> None:
    """Add one account."""
    from stores.sql.account_files import read_account

    backend = Backend()
    fields = {
        "type": kind,
        "name": name,
        "provider": provider,
        "organisation": organisation,
        "associations": associations,
        "tags": list(tags),
        "plan": plan,
    }
    new, reasons = read_account(fields, _providers(backend))
    if new is None:
        raise InvalidRequest("\n".join(reasons))
    account = backend.stores.accounts.add(new)
    backend.audit("account_added", f"account:{account.id}", {"name": account.name})
    if is_json:
        print_json(account_document(account))
    else:
        click.echo(f"account {account.id}: {account.name}; sync it with: clubsync onboard {account.id}")


@accounts.command(name="import")
@click.argument("file", type=click.File(encoding="utf-8"))
@as_json
def import_file(file: TextIO, is_json: bool) -> None:
    """Import accounts from FILE (CSV with a header, or JSON lines); all of them or none."""
    from stores.sql.account_files import import_accounts

    backend = Backend()
    try:
        text = file.read()
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{file.name}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from error
    added = import_accounts(backend.stores.accounts, text, _providers(backend))
    backend.audit("accounts_imported", None, {"count": len(added)})
    if is_json:
        print_json([account_document(account) for account in added])
    else:
        click.echo(f"{counted(len(added), 'account')} imported")


@accounts.command()
@click.argument("account_id", metavar="ID", type=int)
@as_json
def show(account_id: int, is_json: bool) -> None:
    """Show account ID and its timeline: runs, changes, settings, notices, what people did."""
    from stores.sql.runs import RunFilter
    from stores.timeline import timeline_of_account

    backend = Backend()
    stores, rules, now = backend.stores, backend.settings.cadence, backend.clock.now()
    account = stores.accounts.find(account_id)
    matches = stores.matches.near(account.organisation.id, now, days=rules.season_days)
    cadence = judge(matches, now, rules)
    runs = stores.runs.list(RunFilter(account_id=account_id), limit=TIMELINE_LENGTH).items
    changes = stores.changes.of_account(account_id, limit=TIMELINE_LENGTH).items
    events = timeline_of_account(stores, account_id, backend.known_versions(), limit=TIMELINE_LENGTH)
    if is_json:
        print_json(
            {
                **account_document(account),
                "runs": [run_document(run) for run in runs],
                "cadence": {
                    "phase": cadence.phase.value,
                    "target_s": cadence.target.total_seconds(),
                    "reason": cadence.reason,
                },
                "changes": [change_document(entry) for entry in changes],
                "timeline": [asdict(event) for event in events],
            }
        )
        return
    for name, value in account_document(account).items():
        click.echo(f"{name:<18} {', '.join(value) if isinstance(value, list) else value}")
    click.echo(f"{'cadence':<18} {cadence.reason}: at most {cadence.target} old")
    click.echo()
    for event in events:
        state = click.style(f"{event.state} ", fg=STATE_COLOURS.get(event.state)) if event.state else ""
        run = f"  [{event.run_id}]" if event.run_id else ""
        click.echo(f"{ago(event.at):<12} {event.kind:<9} {state}{event.text}{run}")


@accounts.command()
@click.argument("account_id", metavar="ID", type=int)
@as_json
def why(account_id: int, is_json: bool) -> None:
    """Say why account ID is not being synced: the gate that holds it, and when it should open."""
    backend = Backend()
    from cli.surroundings import outage

    answer = backend.why.of_account(backend.stores.accounts.find(account_id), outage=outage(backend))
    if is_json:
        print_json(asdict(answer))
        return
    eta = "" if answer.eta_s is None else f" In about {span(answer.eta_s)}."
    run = f"  [run {answer.run_id}]" if answer.run_id else ""
    click.echo(f"{answer.gate}: {answer.text}{eta}{run}")


def _row(backend: Backend, account: Account) -> list[object]:
    last = backend.stores.runs.latest(account.id)
    state = Painted(last.state.value, STATE_COLOURS.get(last.state.value, "white")) if last else None
    return [
        account.id,
        account.organisation.kind.value,
        account.name,
        account.organisation.id,
        ", ".join(account.tags),
        "yes" if account.is_setup else "no",
        state,
        ago(last.requested_at) if last else "never",
    ]


def _providers(backend: Backend) -> Providers:
    from stores.sql.account_files import Providers

    installed = {point.name for point in entry_points(group="clubsync.providers")}
    return Providers(installed=installed, default=backend.settings.providers.default)
