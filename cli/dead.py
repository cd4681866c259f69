"""`clubsync dead`: messages that will not be tried again by themselves."""

from __future__ import annotations

import functools
import getpass
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from cli.asking import ask
from cli.backend import Backend
from cli.durations import read_duration_s
from cli.output import ago, as_json, limit_option, print_json
from cli.redis_group import RedisGroup
from cli.tables import print_table
from sync.counting import counted
from sync.errors import InvalidRequest, NotFound

if TYPE_CHECKING:
    from brokers.dead_index import Match
    from brokers.dead_letters import DeadLetters
    from brokers.mass_retry import MassRetries, MassRetry

LOOK_EVERY_S = 0.5
REASON_LENGTH = 100


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
        from brokers.dead_index import Match

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
    from cli.letters import died_at, error_of, latest, letter_document

    found = latest(_letters(Backend()), match, search, limit)
    if is_json:
        print_json([letter_document(letter) for letter in found])
        return
    print_table(
        ["message", "queue", "actor", "died", "reason"],
        (
            [
                letter.message_id,
                letter.queue,
                letter.message.actor_name if letter.message else "?",
                ago(died_at(letter)),
                error_of(letter)[:REASON_LENGTH],
            ]
            for letter in found
        ),
    )


@dead.command()
@_filters
@as_json
def groups(match: Match, is_json: bool) -> None:
    """Group dead letters by their error, ids and numbers left out."""
    from brokers.dead_index import DeadIndex
    from cli.letters import group_document

    found = DeadIndex(_letters(Backend())).groups(match)
    if is_json:
        print_json([group_document(group) for group in found])
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
                group.error[:REASON_LENGTH],
            ]
            for group in found
        ),
    )


@dead.command()
@click.argument("message_id", metavar="ID")
@as_json
def show(message_id: str, is_json: bool) -> None:
    """Show one dead letter with every attempt's error."""
    from cli.letters import describe_letter, letter_document

    letter = _letters(Backend()).find(message_id)
    if letter is None:
        raise NotFound(f"no dead letter has the id {message_id}")
    if is_json:
        print_json(letter_document(letter))
        return
    for line in describe_letter(letter):
        click.echo(line)


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
    from cli.letters import choose, require_filter, retry_at

    backend = Backend()
    if is_guarded:
        if message_ids or search:
            raise InvalidRequest("--guarded takes filters, neither ids nor --search")
        require_filter(match, search, is_all=is_all)
        _retry_guarded(backend, match)
        return
    letters = _letters(backend)
    chosen = choose(letters, message_ids, match, search, is_all=is_all)
    count = retry_at(letters, chosen)
    backend.audit("dead_retried", None, {**_said(message_ids, match, search), "retried": count})
    click.echo(f"{count:,} of {counted(len(chosen), 'dead letter')} sent again")
    if count < len(chosen):
        click.echo("the others cannot be read, or a newer sync of their account waits or runs")


@dead.command()
@click.argument("message_ids", metavar="[ID]...", nargs=-1)
@_filters
@_search
@click.option("--all", "is_all", is_flag=True, help="Every dead letter.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask.")
def delete(
    message_ids: tuple[str, ...], match: Match, search: str | None, is_all: bool, is_sure: bool
) -> None:
    """Delete dead letters for good, by id or by filter; runs of theirs that are open are cancelled."""
    from cli.letters import choose, delete_at

    backend = Backend()
    chosen = choose(_letters(backend), message_ids, match, search, is_all=is_all)
    if not message_ids and chosen:
        ask(
            f"delete {counted(len(chosen), 'dead letter')} for good?",
            is_sure=is_sure,
            otherwise="nothing was deleted",
        )
    done = delete_at(backend.removal, chosen, by=getpass.getuser())
    backend.audit("dead_deleted", None, {**_said(message_ids, match, search), **done.counts})
    click.echo(f"{counted(done.messages, 'dead letter')} deleted{done.and_runs}")


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


def _said(message_ids: tuple[str, ...], match: Match, search: str | None) -> dict[str, Any]:
    """Which letters were named, for the audit."""
    if message_ids:
        return {"ids": list(message_ids)}
    wanted = {**{name: getattr(match, name) for name in match.__struct_fields__}, "search": search}
    return {name: value for name, value in wanted.items() if value is not None}


def _letters(backend: Backend) -> DeadLetters:
    from brokers.dead_letters import DeadLetters

    return DeadLetters(backend.broker)


def _ago_s(option: str, written: str | None) -> float | None:
    return None if written is None else time.time() - read_duration_s(option, written)


def _retry_guarded(backend: Backend, match: Match) -> None:
    """Begin one and follow it; it goes on in the web process when this one is interrupted."""
    from brokers.mass_retry import MassRetryState

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
    from brokers.dead_index import DeadIndex
    from brokers.mass_retry import MassRetries

    letters = _letters(backend)
    return MassRetries(
        broker=backend.broker,
        letters=letters,
        index=DeadIndex(letters),
        on_end=lambda ended: backend.audit(
            f"mass_retry_{ended.state.value}", f"mass-retry:{ended.id}", {"message": ended.message}
        ),
    )
