"""`clubsync batch`: many accounts at once, through the scheduler."""

from __future__ import annotations

import getpass
import sys
import time
import uuid
from importlib.metadata import entry_points
from typing import Any

import click
import msgspec

from cli.backend import Backend
from cli.durations import read_duration_s
from cli.output import ago, as_json, limit_option, print_json
from cli.tables import print_table
from stores.redis.batches import (
    Batch,
    Batches,
    BatchState,
    Cancellation,
    Progress,
    progress,
    raise_if_over,
)
from sync.errors import InvalidRequest

POLL_S = 0.2
# Between two lines of progress: a batch of thousands must not fill the screen.
TOLD_EVERY_S = 1.0
FILTERS = ("type", "tag", "plan", "provider", "freshness")
LISTED = 20


@click.group(invoke_without_command=True)
@click.option(
    "--filter",
    "conditions",
    multiple=True,
    metavar="KEY=VALUE",
    help="type=club, tag=T, plan=P, provider=P, freshness=24h (not synced for so long) or freshness=due.",
)
@click.option("--preset", default="full", show_default=True)
@click.option("--priority", type=click.Choice(["urgent", "high", "normal", "low"]), default="low")
@click.option("--spread", default="0s", show_default=True, metavar="2h", help="Spread over so long.")
@click.option("--dry-run", is_flag=True, help="Plan only; nothing is written.")
@click.option("--wait", is_flag=True, help="Wait for every run; exit 1 unless all succeeded.")
@click.option("--timeout", "timeout_s", default=3600.0, show_default=True, help="Seconds to wait.")
@as_json
@click.pass_context
def batch(
    context: click.Context,
    conditions: tuple[str, ...],
    preset: str,
    priority: str,
    spread: str,
    dry_run: bool,
    wait: bool,
    timeout_s: float,
    is_json: bool,
) -> None:
    """Sync every account that the filters leave; the leading scheduler sends it."""
    if context.invoked_subcommand is not None:
        return
    backend = Backend()
    if preset not in backend.in_force.presets:
        raise InvalidRequest(f"preset: {preset!r} is not known; one of {', '.join(backend.in_force.presets)}")
    asked = Batch(
        id=uuid.uuid4().hex,
        starts_at=backend.clock.now(),
        requested_by=getpass.getuser(),
        preset=preset,
        priority=priority,
        spread_s=read_duration_s("--spread", spread),
        dry_run=dry_run,
        **_read_conditions(conditions),
    )
    batches = _batches(backend)
    batches.ask(asked)
    backend.audit("batch_asked", f"batch:{asked.id}", {"filter": list(conditions), "preset": preset})
    if wait:
        sys.exit(0 if _follow(backend, batches, asked.id, timeout_s, is_json=is_json) else 1)
    if is_json:
        print_json({"id": asked.id, "state": asked.state.value})
    else:
        click.echo(f"batch {asked.id} is asked for: clubsync batch show {asked.id}")


@batch.command(name="list")
@limit_option(LISTED)
@as_json
def list_batches(limit: int, is_json: bool) -> None:
    """Show the newest batches and how far they are."""
    backend = Backend()
    found = _batches(backend).list(limit)
    documents = [_document(batch, _progress(backend, batch)) for batch in found]
    if is_json:
        print_json(documents)
        return
    columns = ["id", "asked by", "started", "state", "preset", "progress", "eta"]
    rows = [
        [
            batch.id,
            batch.entry_id or batch.requested_by,
            ago(batch.starts_at),
            batch.state.value,
            batch.preset,
            document["summary"],
            _eta(document["eta_s"]),
        ]
        for batch, document in zip(found, documents, strict=True)
    ]
    print_table(columns, rows)


@batch.command()
@click.argument("batch_id", metavar="ID")
@as_json
def show(batch_id: str, is_json: bool) -> None:
    """Show batch ID and how far its runs are."""
    backend = Backend()
    found = _batches(backend).find(batch_id)
    document = _document(found, _progress(backend, found))
    if is_json:
        print_json(document)
        return
    for name, value in document.items():
        if value not in (None, (), []):
            click.echo(f"{name:<14} {', '.join(value) if isinstance(value, tuple | list) else value}")


@batch.command()
@click.argument("batch_id", metavar="ID")
@click.option("--wait", is_flag=True, help="Wait until it is carried out, and say what was withdrawn.")
@click.option("--timeout", "timeout_s", default=60.0, show_default=True, help="Seconds to wait.")
def cancel(batch_id: str, wait: bool, timeout_s: float) -> None:
    """Take back what waits of batch ID; what runs goes on to its end."""
    backend = Backend()
    batches = _batches(backend)
    found = batches.find(batch_id)
    raise_if_over(found, _progress(backend, found))
    by = getpass.getuser()
    batches.ask_to_cancel(Cancellation(batch_id=batch_id, by=by, at=backend.clock.now()))
    backend.audit("batch_cancelled", batch_id, {})
    deadline_s = time.monotonic() + timeout_s
    while wait and found.state is not BatchState.CANCELLED:
        if time.monotonic() > deadline_s:
            click.echo("clubsync: not carried out yet; does a scheduler run? clubsync status", err=True)
            sys.exit(1)
        time.sleep(POLL_S)
        found = batches.find(batch_id)
    said = found.message if wait else "is to be cancelled; the leading scheduler does it within a second"
    click.echo(f"batch {batch_id} {said}")


def _batches(backend: Backend) -> Batches:
    return Batches(backend.redis, backend.settings.redis.namespace)


def _progress(backend: Backend, found: Batch) -> Progress:
    return progress(found, backend.stores.runs.count_by_state(found.id), backend.clock.now())


def _follow(backend: Backend, batches: Batches, batch_id: str, timeout_s: float, *, is_json: bool) -> bool:
    deadline_s = time.monotonic() + timeout_s
    shown, told_at_s = "", 0.0
    while True:
        found = batches.find(batch_id)
        so_far = _progress(backend, found)
        is_sent = found.state not in (BatchState.ASKED, BatchState.SENDING)
        if (is_sent and so_far.is_finished) or time.monotonic() > deadline_s:
            break
        line = f"  {so_far.summary}{_left(so_far)}" if found.total else f"  {found.state.value}"
        if line != shown and time.monotonic() >= told_at_s + TOLD_EVERY_S:
            click.echo(line, err=True)
            shown, told_at_s = line, time.monotonic()
        time.sleep(POLL_S)
    if is_json:
        print_json(_document(found, so_far))
    else:
        click.echo(f"batch {batch_id}: {so_far.summary}")
        if found.message:
            click.echo(f"clubsync: {found.message}", err=True)
        if not so_far.is_finished or found.state in (BatchState.ASKED, BatchState.SENDING):
            click.echo(f"clubsync: not finished within {timeout_s:g} s; it goes on", err=True)
    is_complete = found.state is BatchState.SENT and so_far.is_finished
    return is_complete and so_far.failed == so_far.partial == so_far.cancelled == 0


def _document(found: Batch, so_far: Progress) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(found)
    document |= msgspec.to_builtins(so_far)
    return document | {"summary": so_far.summary}


def _left(so_far: Progress) -> str:
    return f", about {_eta(so_far.eta_s)} left" if so_far.eta_s else ""


def _eta(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest_s = divmod(round(seconds), 60)
    hours, rest_min = divmod(minutes, 60)
    return (
        f"{hours} h {rest_min} min" if hours else f"{rest_min} min {rest_s} s" if minutes else f"{rest_s} s"
    )


def _read_conditions(conditions: tuple[str, ...]) -> dict[str, Any]:
    given: dict[str, list[str]] = {name: [] for name in FILTERS}
    for condition in conditions:
        name, is_given, value = condition.partition("=")
        if not is_given or not value or name not in given:
            raise InvalidRequest(f"--filter {condition!r}: write one of {'=…, '.join(FILTERS)}=…")
        if name == "type" and value not in ("club", "association"):
            raise InvalidRequest(f"--filter {condition!r}: the types are club and association")
        if name == "provider" and value not in (known := entry_points(group="clubsync.providers").names):
            raise InvalidRequest(f"--filter {condition!r}: the providers are {', '.join(sorted(known))}")
        if name in ("provider", "freshness") and given[name]:
            raise InvalidRequest(f"--filter {condition!r}: {name} can be given once")
        given[name].append(value)
    freshness = next(iter(given["freshness"]), None)
    is_age = freshness not in (None, "due")
    return {
        "types": tuple(given["type"]),
        "tags": tuple(given["tag"]),
        "plans": tuple(given["plan"]),
        "provider": next(iter(given["provider"]), None),
        "older_than_s": read_duration_s("--filter freshness", freshness) if freshness and is_age else None,
        "is_due": freshness == "due",
    }
