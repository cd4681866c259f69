"""`clubsync batch`: many accounts at once, through the scheduler."""

from __future__ import annotations

import getpass
import sys
import time
import uuid

import click

from cli.backend import Backend
from cli.durations import read_duration_s
from cli.output import as_json, print_json
from stores.redis.batches import Batch, Batches, BatchState, progress
from sync.errors import InvalidRequest

POLL_S = 0.2


@click.command()
@click.option(
    "--filter", "conditions", multiple=True, metavar="KEY=VALUE", help="type=club, tag=T, provider=P."
)
@click.option("--preset", default="full", show_default=True)
@click.option("--priority", type=click.Choice(["urgent", "high", "normal", "low"]), default="low")
@click.option("--spread", default="0s", show_default=True, metavar="2h", help="Spread over so long.")
@click.option("--dry-run", is_flag=True, help="Plan only; nothing is written.")
@click.option("--wait", is_flag=True, help="Wait for every run; exit 1 unless all succeeded.")
@click.option("--timeout", "timeout_s", default=3600.0, show_default=True, help="Seconds to wait.")
@as_json
def batch(
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
    backend = Backend()
    if preset not in backend.settings.presets:
        raise InvalidRequest(f"preset: {preset!r} is not known; one of {', '.join(backend.settings.presets)}")
    wanted = _read_conditions(conditions)
    asked = Batch(
        id=uuid.uuid4().hex,
        starts_at=backend.clock.now(),
        requested_by=getpass.getuser(),
        preset=preset,
        priority=priority,
        types=tuple(wanted["type"]),
        tags=tuple(wanted["tag"]),
        provider=next(iter(wanted["provider"]), None),
        spread_s=read_duration_s("--spread", spread),
        dry_run=dry_run,
    )
    batches = Batches(backend.redis, backend.settings.redis.namespace)
    batches.ask(asked)
    backend.audit("batch_asked", f"batch:{asked.id}", {"filter": list(conditions), "preset": preset})
    if wait:
        sys.exit(0 if _follow(backend, batches, asked.id, timeout_s, is_json=is_json) else 1)
    if is_json:
        print_json({"id": asked.id, "state": asked.state.value})
    else:
        click.echo(f"batch {asked.id} is asked for: clubsync runs list --batch {asked.id}")


def _follow(backend: Backend, batches: Batches, batch_id: str, timeout_s: float, *, is_json: bool) -> bool:
    deadline_s = time.monotonic() + timeout_s
    shown = ""
    while True:
        found = batches.find(batch_id)
        now = progress(found, backend.stores.runs.count_by_state(batch_id), backend.clock.now())
        is_sent = found.state not in (BatchState.ASKED, BatchState.SENDING)
        if (is_sent and now.is_finished) or time.monotonic() > deadline_s:
            break
        line = f"  {now.finished} of {now.total} done, {now.running} running"
        if line != shown:
            click.echo(line, err=True)
            shown = line
        time.sleep(POLL_S)
    document = {
        "id": batch_id,
        "state": found.state.value,
        "message": found.message,
        "total": now.total,
        "succeeded": now.succeeded,
        "partial": now.partial,
        "failed": now.failed,
        "coalesced": now.coalesced,
    }
    if is_json:
        print_json(document)
    else:
        click.echo(", ".join(f"{value} {name}" for name, value in document.items() if isinstance(value, int)))
        if found.message:
            click.echo(f"clubsync: {found.message}", err=True)
    return found.state is BatchState.SENT and now.is_finished and now.failed == now.partial == 0


def _read_conditions(conditions: tuple[str, ...]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {"type": [], "tag": [], "provider": []}
    for condition in conditions:
        name, is_given, value = condition.partition("=")
        if not is_given or name not in wanted:
            raise InvalidRequest(f"--filter {condition!r}: write type=…, tag=… or provider=…")
        if name == "type" and value not in ("club", "association"):
            raise InvalidRequest(f"--filter {condition!r}: the types are club and association")
        wanted[name].append(value)
    return wanted
