"""Ask for syncs: `sync`, `onboard`, `update`, `batch`."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from brokers.messages import parse
from cli.backend import Backend
from cli.output import as_json, print_json
from cli.platform import grounded
from cli.waiting import Waiting, follow, worker_at_hand
from stores.sql.documents import run_document
from sync.errors import InvalidRequest

PRIORITIES = click.Choice(["urgent", "high", "normal", "low"])

_shared = (
    click.option("--preset", default="full", show_default=True, help="Which stages run."),
    click.option("--priority", type=PRIORITIES, help="Before or behind other work."),
    click.option("--dry-run", is_flag=True, help="Show what would change; write nothing."),
    click.option(
        "--restart",
        is_flag=True,
        help="Begin anew; without it an interrupted sync goes on where it stopped.",
    ),
    click.option("--wait", is_flag=True, help="Wait for the verdict; exit 1 unless it succeeded."),
    click.option("--timeout", "timeout_s", default=600.0, show_default=True, help="Seconds to wait."),
    as_json,
)


def _sync_options(command: Any) -> Any:
    for option in reversed(_shared):
        command = option(command)
    return command


@click.command()
@click.argument("kind", type=click.Choice(["club", "association"]))
@click.argument("subject", metavar="ID")
@click.option("--direct", is_flag=True, help="ID is the organisation's own id; no account is needed.")
@click.option("--provider", help="Of a direct sync; default: providers.default.")
@_sync_options
def sync(kind: str, subject: str, direct: bool, provider: str | None, **options: Any) -> None:
    """Sync the club or association with account ID (with --direct: with organisation ID)."""
    if direct:
        from stores.sql.account_files import ID_PATTERN

        if not ID_PATTERN.fullmatch(subject.lower()):
            raise InvalidRequest(
                f"{subject!r} is not an organisation's id: the provider's UUID (or Play-Cricket's number)"
            )
        fields: dict[str, Any] = {"actor": f"sync_{kind}_direct", "organisation_id": subject}
        if provider:
            fields["provider"] = provider
    else:
        fields = {"actor": f"sync_{kind}", "account_id": _account_id(subject)}
    _request(fields, **options)


@click.command()
@click.argument("account", metavar="ID")
@_sync_options
def onboard(account: str, **options: Any) -> None:
    """First sync of account ID; a complete one lets the customer in and mails the welcome."""
    _request({"actor": "onboard_account", "account_id": _account_id(account)}, **options)


@click.command()
@click.argument("account", metavar="ID")
@_sync_options
def update(account: str, **options: Any) -> None:
    """Refresh account ID on demand; the customer sees that it is being updated."""
    _request({"actor": "update_account", "account_id": _account_id(account)}, **options)


def _account_id(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise InvalidRequest(
            f"{text!r} is not an account's id (a whole number; clubsync accounts list shows them);"
            " for an organisation's id add --direct"
        ) from None


def _request(
    fields: Mapping[str, Any],
    *,
    preset: str,
    priority: str | None,
    dry_run: bool,
    restart: bool,
    wait: bool,
    timeout_s: float,
    is_json: bool,
) -> None:
    envelope = {**fields, "preset": preset, "dry_run": dry_run}
    if restart:
        envelope["restart"] = True
    if priority:
        envelope["priority"] = priority
    request = parse(envelope)
    with _at_hand(wait=wait) as backend:
        _refuse_mismatch(backend, fields)
        receipt = backend.publisher.send(request, requested_by="cli")
        run_id = receipt.run_id or ""
        note = "joins run" if receipt.is_coalesced else "run"
        if not wait:
            document = run_document(backend.stores.runs.find(run_id))
            if is_json:
                print_json({**document, "is_coalesced": receipt.is_coalesced})
            else:
                click.echo(f"{note} {run_id} is queued; follow it with: clubsync runs show {run_id}")
            return
        verdict = follow(backend, run_id, Waiting(timeout_s=timeout_s, is_json=is_json, note=note))
    sys.exit(0 if verdict else 1)


@contextlib.contextmanager
def _at_hand(*, wait: bool) -> Iterator[Backend]:
    """A backend; somebody who waits on a machine where nothing runs gets a worker for as long."""
    backend = Backend()
    with grounded(backend.settings) as ground:
        backend = Backend(backend.settings, ground.redis_url)
        _ = backend.stores
        if not wait:
            yield backend
            return
        with worker_at_hand(backend, ground):
            yield backend


def _refuse_mismatch(backend: Backend, fields: Mapping[str, Any]) -> None:
    """What the CMS knows to be wrong is said at once, not by a failed run."""
    account_id = fields.get("account_id")
    if account_id is None:
        return
    account = backend.cms.find_account(account_id)
    kind = account.organisation.kind.value
    asked = {"sync_club": "club", "sync_association": "association"}.get(fields["actor"], kind)
    if asked != kind:
        raise InvalidRequest(
            f"account {account_id} ({account.name}) is of type {kind}, not {asked}:"
            f" clubsync sync {kind} {account_id}"
        )
