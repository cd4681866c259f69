"""`clubsync queues`: what waits, and switching and limiting it."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from typing import Any

import click

from brokers.operations import Operations, said_of_limit
from brokers.queues import Priority, Queue
from brokers.states import QueueState
from cli.backend import Backend
from cli.output import as_json, print_json, print_table
from cli.redis_group import RedisGroup
from sync.counting import counted
from sync.errors import InvalidRequest

NAMES = click.Choice([queue.value for queue in Queue])


@click.group(cls=RedisGroup, invoke_without_command=True)
@as_json
@click.pass_context
def queues(context: click.Context, is_json: bool) -> None:
    """Show the queues; pause, resume, limit or purge one."""
    if context.invoked_subcommand is not None:
        return
    states = Operations(Backend().broker).queues([queue.value for queue in Queue])
    if is_json:
        print_json([_document(state) for state in states])
        return
    print_table(
        ["queue", *Priority, "delayed", "running", "dead", "oldest s", "done/min", "paused", "ledger"],
        (
            [
                state.name,
                *(state.waiting[priority] for priority in Priority),
                state.delayed,
                state.leased if state.limit is None else f"{state.leased} of {state.limit}",
                state.dead,
                state.oldest_age_s,
                state.done_per_minute,
                "PAUSED" if state.is_paused else "",
                "balanced" if state.ledger.is_balanced else "NOT BALANCED",
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
    backend, wanted = Backend(), None if most == "none" else int(most)
    Operations(backend.broker).set_limit(name, wanted)
    backend.audit("queue_limited", f"queue:{name}", {"limit": wanted})
    click.echo(said_of_limit(name, wanted))


@queues.command()
@click.argument("name", type=NAMES)
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
def purge(name: str, is_sure: bool) -> None:
    """Delete every waiting and delayed message of queue NAME; their runs are cancelled."""
    if not is_sure and not click.confirm(f"delete everything that waits in {name}?"):
        raise InvalidRequest("nothing was deleted")
    backend = Backend()
    done = backend.removal.purge(name, by=getpass.getuser())
    backend.audit("queue_purged", f"queue:{name}", done.counts)
    click.echo(f"{counted(done.messages, 'message')} deleted from {name}{done.and_runs}")


def _switch(action: str, name: str) -> None:
    backend = Backend()
    operations = Operations(backend.broker)
    if action == "queue_paused":
        operations.pause(name)
    else:
        operations.resume(name)
    backend.audit(action, f"queue:{name}", {})
    click.echo(f"{name} is {'paused' if action == 'queue_paused' else 'running'}")


def _document(state: QueueState) -> dict[str, Any]:
    document = asdict(state)
    document["waiting"] = {priority.value: count for priority, count in state.waiting.items()}
    document["ledger"]["is_balanced"] = state.ledger.is_balanced
    return document
