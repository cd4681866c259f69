"""`clubsync queues`: what waits, and switching and limiting it."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from brokers.queues import Priority, Queue
from cli.asking import ask
from cli.backend import Backend
from cli.output import as_json, print_json, span
from cli.redis_group import RedisGroup
from cli.tables import Painted, print_table
from sync.counting import counted
from sync.errors import InvalidRequest

if TYPE_CHECKING:
    from brokers.operations import Operations
    from brokers.states import QueueState

NAMES = click.Choice([queue.value for queue in Queue])


@click.group(cls=RedisGroup, invoke_without_command=True)
@as_json
@click.pass_context
def queues(context: click.Context, is_json: bool) -> None:
    """Show the queues; pause, resume, limit or purge one."""
    if context.invoked_subcommand is not None:
        return
    states = _operations(Backend()).queues([queue.value for queue in Queue])
    if is_json:
        print_json([_document(state) for state in states])
        return
    print_table(
        ["queue", *Priority, "delayed", "running", "dead", "oldest", "done/min", "state"],
        (
            [
                state.name,
                *(state.waiting[priority] for priority in Priority),
                state.delayed,
                state.leased if state.limit is None else f"{state.leased} of {state.limit}",
                state.dead,
                None if state.oldest_age_s is None else span(state.oldest_age_s),
                round(state.done_per_minute),
                _state(state),
            ]
            for state in states
        ),
    )


@queues.command()
@click.argument("name", type=NAMES)
def pause(name: str) -> None:
    """Start nothing more from queue NAME until it is resumed."""
    _switch("queue_paused", name)


@queues.command()
@click.argument("name", type=NAMES)
def resume(name: str) -> None:
    """Start messages of queue NAME again."""
    _switch("queue_resumed", name)


@queues.command()
@click.argument("name", type=NAMES)
@click.argument("most", metavar="MOST|none")
def limit(name: str, most: str) -> None:
    """Let at most MOST messages of queue NAME run at once, over all workers; `none`: no limit."""
    if most != "none" and not (most.isascii() and most.isdigit() and int(most)):
        raise InvalidRequest(f"MOST is a whole number from 1 on, or none; not {most!r}")
    from brokers.operations import said_of_limit

    backend, wanted = Backend(), None if most == "none" else int(most)
    _operations(backend).set_limit(name, wanted)
    backend.audit("queue_limited", f"queue:{name}", {"limit": wanted})
    click.echo(said_of_limit(name, wanted))


@queues.command()
@click.argument("name", type=NAMES)
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
def purge(name: str, is_sure: bool) -> None:
    """Delete every waiting and delayed message of queue NAME; their runs are cancelled."""
    if not is_sure and not sys.stdin.isatty():
        raise InvalidRequest("nobody can be asked here: say --yes to delete everything that waits")
    ask(f"delete everything that waits in {name}?", is_sure=is_sure, otherwise="nothing was deleted")
    backend = Backend()
    done = backend.removal.purge(name, by=getpass.getuser())
    backend.audit("queue_purged", f"queue:{name}", done.counts)
    click.echo(f"{counted(done.messages, 'message')} deleted from {name}{done.and_runs}")


def _switch(action: str, name: str) -> None:
    backend = Backend()
    operations = _operations(backend)
    if action == "queue_paused":
        operations.pause(name)
    else:
        operations.resume(name)
    backend.audit(action, f"queue:{name}", {})
    click.echo(f"{name} is {'paused' if action == 'queue_paused' else 'running'}")


def _operations(backend: Backend) -> Operations:
    from brokers.operations import Operations

    return Operations(backend.broker)


def _state(state: QueueState) -> str | Painted:
    """What is out of the ordinary, or `ok`."""
    unusual = (state.is_paused and "PAUSED", not state.ledger.is_balanced and "NOT BALANCED")
    said = ", ".join(word for word in unusual if word)
    return Painted(said, "yellow") if said else "ok"


def _document(state: QueueState) -> dict[str, Any]:
    document = asdict(state)
    document["waiting"] = {priority.value: count for priority, count in state.waiting.items()}
    document["ledger"]["is_balanced"] = state.ledger.is_balanced
    return document
