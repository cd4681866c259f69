"""`clubsync schedule`: what is sent by itself, and when."""

from __future__ import annotations

import getpass
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from cli.backend import Backend
from cli.output import ago, as_json, print_json
from cli.tables import print_table
from sync.errors import NotFound

if TYPE_CHECKING:
    from settings.scheduling import ScheduleEntry
    from stores.redis.schedule import EntryState, Schedule


@click.group()
def schedule() -> None:
    """List, run, pause and resume entries."""


@schedule.command(name="list")
@as_json
def list_entries(is_json: bool) -> None:
    """Show the entries with their last tick."""
    from stores.redis.schedule import EntryState, Schedule

    backend = Backend()
    states = Schedule(backend.redis, backend.settings.redis.namespace).states()
    entries = backend.in_force.scheduler.entries
    rows = [_document(name, entry, states.get(name, EntryState())) for name, entry in entries.items()]
    if is_json:
        print_json(rows)
        return
    columns = ["entry", "when", "action", "state", "next", "last tick", "outcome", "message"]
    print_table(columns, ([row[column.replace(" ", "_")] for column in columns] for row in rows))


@schedule.command()
@click.argument("entry", metavar="NAME")
def run(entry: str) -> None:
    """Carry out entry NAME now, beside its ticks; the leading scheduler does it."""
    from stores.redis.schedule import RunNow

    backend, table = _table(entry)
    request = RunNow(
        id=uuid.uuid4().hex,
        entry_id=entry,
        requested_by=getpass.getuser(),
        requested_at=backend.clock.now(),
    )
    table.ask(request)
    backend.audit("schedule_run", f"schedule:{entry}", {})
    is_batch = backend.in_force.scheduler.entries[entry].action == "batch"
    named = f" (batch {request.id})" if is_batch else ""
    click.echo(f"{entry} is asked for; the leading scheduler carries it out{named}")


@schedule.command()
@click.argument("entry", metavar="NAME")
@click.option("--reason", default="")
def pause(entry: str, reason: str) -> None:
    """Pass over the ticks of entry NAME until it is resumed."""
    from stores.redis.schedule import Pause

    backend, table = _table(entry)
    table.pause(entry, Pause(by=getpass.getuser(), at=backend.clock.now(), reason=reason))
    backend.audit("schedule_paused", f"schedule:{entry}", {"reason": reason})
    click.echo(f"{entry} is paused")


@schedule.command()
@click.argument("entry", metavar="NAME")
def resume(entry: str) -> None:
    """Send the next ticks of entry NAME again."""
    backend, table = _table(entry)
    table.resume(entry)
    backend.audit("schedule_resumed", f"schedule:{entry}", {})
    click.echo(f"{entry} runs")


def _table(entry: str) -> tuple[Backend, Schedule]:
    from stores.redis.schedule import Schedule

    backend = Backend()
    entries = backend.in_force.scheduler.entries
    if entry not in entries:
        raise NotFound(f"there is no schedule entry {entry}; one of {', '.join(entries) or 'none'}")
    return backend, Schedule(backend.redis, backend.settings.redis.namespace)


def _document(name: str, entry: ScheduleEntry, state: EntryState) -> dict[str, Any]:
    paused = entry.is_paused or state.pause is not None
    next_at = None if paused else state.next_at
    return {
        "entry": name,
        "when": entry.when,
        "zone": entry.zone,
        "action": entry.action,
        "state": "paused" if paused else "running",
        "next": _moment(next_at, entry.zone) if next_at else "-",
        "next_at": next_at,
        "last_tick": ago(state.last.tick_at) if state.last else "never",
        "last_tick_at": state.last.tick_at if state.last else None,
        "outcome": state.last.outcome.value if state.last else None,
        "failures": state.failures,
        "message": (state.pause and state.pause.reason) or (state.last and state.last.message) or "",
    }


def _moment(at: datetime, zone: str) -> str:
    return at.astimezone(ZoneInfo(zone)).strftime("%a %d %b %H:%M %Z")
