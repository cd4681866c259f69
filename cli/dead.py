"""`clubsync dead`: messages that will not be tried again by themselves."""

from __future__ import annotations

import functools
import getpass
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeVar, cast

import click

from brokers.dead_index import DeadIndex, Group, Match, Position
from brokers.dead_letters import DeadLetters
from brokers.mass_retry import MassRetries, MassRetry, MassRetryState
from brokers.states import DeadLetter
from cli.backend import Backend
from cli.durations import read_duration_s
from cli.output import ago, as_json, limit_option, print_json, print_table
from cli.redis_group import RedisGroup
from sync.errors import InvalidRequest, NotFound

PAGE = 500
LOOK_EVERY_S = 0.5


@click.group(cls=RedisGroup)
def dead() -> None:
    """List, show, retry and delete dead letters."""


_F = TypeVar("_F", bound=Callable[..., Any])

_FILTERS = (
    click.option("--queue", help="Of this queue."),
    click.option("--actor", help="Of this actor, as sync_club."),
    click.option("--account", "account_id", type=click.IntRange(1), help="Of this account."),
    click.option("--error", help="Of this group of `clubsync dead groups`."),
    click.option("--older-than", help="Died longer ago, as 2h or 3d."),
    click.option("--newer-than", help="Died since then, as 30m."),
)


def _filters(command: _F) -> _F:
    """The options that say which letters, as a `Match` named `match`."""

    @functools.wraps(command)
    def with_match(
        *args: Any, older_than: str | None, newer_than: str | None, error: str | None, **kwargs: Any
    ) -> Any:
        match = Match(
            queue=kwargs.pop("queue"),
            actor=kwargs.pop("actor"),
            account_id=kwargs.pop("account_id"),
            group=error,
            died_before_s=_ago_s("--older-than", older_than),
            died_since_s=_ago_s("--newer-than", newer_than),
        )
        return command(*args, match=match, **kwargs)

    for option in reversed(_FILTERS):
        with_match = option(with_match)
    return cast("_F", with_match)


_search = click.option("--search", help="Whose id, payload or reason contains this.")


@dead.command(name="list")
@_filters
@_search
@limit_option(50)
@as_json
def list_dead(match: Match, search: str | None, limit: int, is_json: bool) -> None:
    """Show dead letters, the latest first."""
    letters = list(islice(_matching(DeadIndex(DeadLetters(Backend().broker)), match, search), limit))
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
@_filters
@as_json
def groups(match: Match, is_json: bool) -> None:
    """Group dead letters by their error, ids and numbers left out."""
    found = DeadIndex(DeadLetters(Backend().broker)).groups(match)
    if is_json:
        print_json([_group_document(group) for group in found])
        return
    print_table(
        ["group", "letters", "accounts", "actors", "last died", "error"],
        (
            [
                group.id,
                group.count,
                group.account_count,
                ", ".join(group.actors),
                ago(datetime.fromtimestamp(group.latest.died_ms / 1000, UTC)),
                group.error[:100],
            ]
            for group in found
        ),
    )


@dead.command()
@click.argument("message_id", metavar="ID")
@as_json
def show(message_id: str, is_json: bool) -> None:
    """Show one dead letter with every attempt's error."""
    letter = DeadLetters(Backend().broker).find(message_id)
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
@_filters
@_search
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
@click.option(
    "--guarded",
    "is_guarded",
    is_flag=True,
    help="Three first, then more and more, and no more once they die again; shows how far it is.",
)
def retry(
    message_ids: tuple[str, ...], match: Match, search: str | None, is_all: bool, is_guarded: bool
) -> None:
    """Send dead letters again, by id or by filter, from the first attempt."""
    backend = Backend()
    if is_guarded:
        if message_ids or search:
            raise InvalidRequest("--guarded takes filters, neither ids nor --search")
        _require_filter(match, search, is_all=is_all)
        _retry_guarded(backend, match)
        return
    letters = DeadLetters(backend.broker)
    chosen = _chosen(letters, message_ids, match, search, is_all=is_all)
    count = letters.retry(chosen)
    backend.audit("dead_retried", None, {"ids": list(message_ids), "retried": count})
    click.echo(f"{count} of {len(chosen)} sent again")


@dead.command()
@click.argument("message_ids", metavar="[ID]...", nargs=-1)
@_filters
@_search
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
def delete(message_ids: tuple[str, ...], match: Match, search: str | None, is_all: bool) -> None:
    """Delete dead letters for good, by id or by filter; runs of theirs that are open are cancelled."""
    backend = Backend()
    letters = DeadLetters(backend.broker)
    chosen = _chosen(letters, message_ids, match, search, is_all=is_all)
    done = backend.removal.delete(chosen, by=getpass.getuser())
    backend.audit("dead_deleted", None, {"ids": list(message_ids), **done.counts})
    click.echo(f"{done.messages} deleted{done.and_runs}")


@dead.command(name="stop-retry")
@click.argument("retry_id", metavar="ID")
def stop_retry(retry_id: str) -> None:
    """Let the guarded retry ID send nothing more."""
    backend = Backend()
    stopped = _mass_retries(backend).stop(retry_id, by=getpass.getuser())
    if stopped.is_over:
        click.echo(f"it is over already: {stopped.message}")
        return
    backend.audit("mass_retry_stopped", f"mass-retry:{retry_id}", {})
    click.echo("it sends nothing more")


def _ago_s(option: str, written: str | None) -> float | None:
    return None if written is None else time.time() - read_duration_s(option, written)


def _retry_guarded(backend: Backend, match: Match) -> None:
    """Begin one and follow it; it goes on in the web process when this one is interrupted."""
    retries = _mass_retries(backend)
    asked = retries.ask(match, asked_by=getpass.getuser(), source="cli")
    subject = f"mass-retry:{asked.id}"
    backend.audit("mass_retry_begun", subject, {"total": asked.total})
    click.echo(f"mass retry {asked.id} of {asked.total}; interrupting this leaves it to the web process")
    driver, shown = uuid.uuid4().hex, ""
    while not (now := retries.find(asked.id)).is_over:
        retries.drive(driver)
        line = f"{_settled(now)}, {len(now.in_flight)} on their way, {now.left} left"
        if line != shown:
            click.echo(line)
            shown = line
        time.sleep(LOOK_EVERY_S)
    click.echo(
        f"{now.state.value}: {now.message}; {now.done} done, {now.died_again} died again, {now.kept} kept"
    )
    if now.state is not MassRetryState.FINISHED:
        sys.exit(1)


def _settled(retry: MassRetry) -> str:
    return f"{retry.done} done, {retry.died_again} died again, {retry.kept} kept"


def _mass_retries(backend: Backend) -> MassRetries:
    letters = DeadLetters(backend.broker)
    return MassRetries(
        broker=backend.broker,
        letters=letters,
        index=DeadIndex(letters),
        on_end=lambda ended: backend.audit(
            f"mass_retry_{ended.state.value}", f"mass-retry:{ended.id}", {"message": ended.message}
        ),
    )


def _chosen(
    letters: DeadLetters,
    message_ids: tuple[str, ...],
    match: Match,
    search: str | None,
    *,
    is_all: bool,
) -> list[DeadLetter]:
    if message_ids:
        found = [(message_id, letters.find(message_id)) for message_id in message_ids]
        if missing := [message_id for message_id, letter in found if letter is None]:
            raise NotFound(f"no dead letter has the id {', '.join(missing)}; nothing was done")
        return [letter for _, letter in found if letter is not None]
    _require_filter(match, search, is_all=is_all)
    return list(_matching(DeadIndex(letters), match, search))


def _require_filter(match: Match, search: str | None, *, is_all: bool) -> None:
    if match == Match() and not (search or is_all):
        raise InvalidRequest(
            "say which: ids, a filter (--queue, --actor, --account, --error, an age), --search or --all"
        )


def _matching(index: DeadIndex, match: Match, search: str | None) -> Iterator[DeadLetter]:
    before: Position | None = None
    while True:
        page = index.find(match, limit=PAGE, before=before, search=search)
        yield from page.letters
        if page.next_before is None:
            return
        before = page.next_before


def _group_document(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "error": group.error,
        "count": group.count,
        "queues": list(group.queues),
        "actors": list(group.actors),
        "account_count": group.account_count,
        "latest_id": group.latest.message_id,
    }


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
