"""`clubsync dead`: messages that will not be tried again by themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import click

from brokers.operations import DeadLetter, Operations
from cli.backend import Backend
from cli.output import ago, as_json, print_json, print_table
from cli.redis_group import RedisGroup
from sync.errors import InvalidRequest, NotFound


@click.group(cls=RedisGroup)
def dead() -> None:
    """List, show, retry and delete dead letters."""


_search = click.option("--search", help="Whose id, payload or reason contains this.")
_queue = click.option("--queue", help="Of this queue.")


@dead.command(name="list")
@_queue
@_search
@click.option("--limit", default=50, show_default=True)
@as_json
def list_dead(queue: str | None, search: str | None, limit: int, is_json: bool) -> None:
    """Show dead letters, the latest first."""
    letters = list(Operations(Backend().broker).dead(queue, search=search, limit=limit))
    if is_json:
        print_json([_document(letter) for letter in letters])
        return
    print_table(
        ["message", "queue", "actor", "died", "reason"],
        (
            [
                letter.message_id,
                letter.queue,
                letter.message.actor_name if letter.message else "?",
                ago(_died_at(letter)),
                str(letter.reason.get("error", letter.reason.get("kind", "")))[:100],
            ]
            for letter in letters
        ),
    )


@dead.command()
@click.argument("message_id", metavar="ID")
@as_json
def show(message_id: str, is_json: bool) -> None:
    """Show one dead letter with every attempt's error."""
    letter = Operations(Backend().broker).show_dead(message_id)
    if letter is None:
        raise NotFound(f"no dead letter has the id {message_id}")
    document = _document(letter)
    if is_json:
        print_json(document)
        return
    for name, value in document.items():
        click.echo(f"{name:<12} {value}")


@dead.command()
@click.argument("message_ids", metavar="[ID]...", nargs=-1)
@_queue
@_search
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
def retry(message_ids: tuple[str, ...], queue: str | None, search: str | None, is_all: bool) -> None:
    """Send dead letters again, by id or by filter, from the first attempt."""
    backend = Backend()
    operations = Operations(backend.broker)
    chosen = _chosen(operations, message_ids, queue, search, is_all=is_all)
    count = operations.retry(chosen)
    backend.audit("dead_retried", None, {"ids": list(message_ids), "retried": count})
    click.echo(f"{count} of {len(chosen)} sent again")


@dead.command()
@click.argument("message_ids", metavar="[ID]...", nargs=-1)
@_queue
@_search
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
def delete(message_ids: tuple[str, ...], queue: str | None, search: str | None, is_all: bool) -> None:
    """Delete dead letters for good, by id or by filter."""
    backend = Backend()
    operations = Operations(backend.broker)
    chosen = _chosen(operations, message_ids, queue, search, is_all=is_all)
    count = operations.delete(chosen)
    backend.audit("dead_deleted", None, {"ids": list(message_ids), "deleted": count})
    click.echo(f"{count} deleted")


def _chosen(
    operations: Operations,
    message_ids: tuple[str, ...],
    queue: str | None,
    search: str | None,
    *,
    is_all: bool,
) -> list[DeadLetter]:
    if message_ids:
        found = [(message_id, operations.show_dead(message_id)) for message_id in message_ids]
        if missing := [message_id for message_id, letter in found if letter is None]:
            raise NotFound(f"no dead letter has the id {', '.join(missing)}; nothing was done")
        return [letter for _, letter in found if letter is not None]
    if not (queue or search or is_all):
        raise InvalidRequest("say which: ids, --queue, --search or --all")
    return list(operations.dead(queue, search=search))


def _died_at(letter: DeadLetter) -> datetime:
    return datetime.fromtimestamp(letter.died_at_s, UTC)


def _document(letter: DeadLetter) -> dict[str, Any]:
    message = letter.message
    return {
        "id": letter.message_id,
        "queue": letter.queue,
        "died_at": _died_at(letter).isoformat().replace("+00:00", "Z"),
        "reason": dict(letter.reason),
        "actor": message.actor_name if message else None,
        "fields": dict(message.kwargs) if message else None,
        "attempts": message.options.get("attempts", []) if message else [],
        "body": None if message else letter.body.decode(errors="replace"),
    }
