"""Dead letters as `clubsync dead` chooses, handles and shows them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import click

from brokers.dead_index import MOST_INDEXED, DeadIndex, Group, Match, Position
from brokers.dead_letters import DeadLetters
from brokers.queues import Queue
from brokers.removal import Removal, Removed
from brokers.states import DeadLetter
from cli.output import moment
from cli.tables import printable
from sync.errors import InvalidRequest, NotFound

PAGE = 500
# Queue and id of a letter.
Place = tuple[str, str]


def latest(letters: DeadLetters, match: Match, search: str | None, limit: int) -> list[DeadLetter]:
    """Those that match, the latest first. Raises InvalidRequest for a queue that is not known."""
    _require_queue(letters, match)
    if match.is_all and search is None:
        return list(letters.latest(match.queue, limit=limit))
    return list(islice(_matching(DeadIndex(letters), match, search), limit))


def choose(
    letters: DeadLetters, message_ids: Sequence[str], match: Match, search: str | None, *, is_all: bool
) -> list[Place]:
    """Where the letters stand that were named by id or by filter, the latest first.

    Raises NotFound unless all ids are there, and InvalidRequest when nothing says which.
    """
    if message_ids:
        found = {message_id: letters.find(message_id) for message_id in message_ids}
        if missing := [message_id for message_id, letter in found.items() if letter is None]:
            raise NotFound(f"no dead letter has the id {', '.join(missing)}; nothing was done")
        return [(letter.queue, letter.message_id) for letter in found.values() if letter is not None]
    require_filter(match, search, is_all=is_all)
    _require_queue(letters, match)
    index = DeadIndex(letters)
    if search is not None:
        return [(letter.queue, letter.message_id) for letter in _matching(index, match, search)]
    return [(entry.queue, entry.message_id) for entry in index.entries(match, limit=MOST_INDEXED)]


def retry_at(letters: DeadLetters, places: Sequence[Place]) -> int:
    """Send the letters at these places again; how many. Shows a terminal how far it is."""
    return sum(letters.retry(letters.read(some)) for some in _paged(places))


def delete_at(removal: Removal, places: Sequence[Place], *, by: str) -> Removed:
    """Delete the letters at these places. Shows a terminal how far it is."""
    done = Removed()
    for some in _paged(places):
        ids: dict[str, list[str]] = {}
        for queue, message_id in some:
            ids.setdefault(queue, []).append(message_id)
        gone = removal.delete_by_id(ids, by=by)
        done = Removed(done.messages + gone.messages, done.runs + gone.runs)
    return done


def require_filter(match: Match, search: str | None, *, is_all: bool) -> None:
    """Raises InvalidRequest when nothing says which letters are meant."""
    if match == Match() and not (search or is_all):
        raise InvalidRequest(
            "say which: ids, a filter (--queue, --actor, --account, --error, an age), --search or --all"
        )


def died_at(letter: DeadLetter) -> datetime:
    """Aware UTC."""
    return datetime.fromtimestamp(letter.died_at_s, UTC)


def error_of(letter: DeadLetter) -> str:
    return str(letter.reason.get("error", letter.reason.get("kind", "")))


def group_document(group: Group) -> Mapping[str, Any]:
    """For programs."""
    return {
        "id": group.id,
        "error": group.error,
        "count": group.count,
        "queues": list(group.queues),
        "actors": list(group.actors),
        "account_count": group.account_count,
        "latest_id": group.latest.message_id,
    }


def letter_document(letter: DeadLetter) -> Mapping[str, Any]:
    """For programs; times are aware UTC."""
    message = letter.message
    return {
        "id": letter.message_id,
        "queue": letter.queue,
        "died_at": died_at(letter),
        "reason": dict(letter.reason),
        "actor": message.actor_name if message else None,
        "fields": dict(message.kwargs) if message else None,
        "attempts": message.options.get("attempts", []) if message else [],
        "body": None if message else letter.body.decode(errors="replace"),
    }


def describe_letter(letter: DeadLetter) -> Iterator[str]:
    """For people: what it asked for, why it died, every attempt, and the trace of the last."""
    message = letter.message
    yield f"message   {letter.message_id}"
    yield f"queue     {letter.queue}"
    yield f"died      {moment(died_at(letter))} UTC"
    if message is None:
        yield f"body      {printable(letter.body.decode(errors='replace'))}"
    else:
        yield f"actor     {message.actor_name}"
        yield f"asks for  {printable(json.dumps(message.kwargs, ensure_ascii=False, default=str))}"
    yield f"reason    {printable(error_of(letter))}"
    attempts = [one for one in letter.reason.get("attempts", []) if isinstance(one, dict)]
    for number, attempt in enumerate(attempts, start=1):
        yield f"attempt {number} {_attempt(attempt)}"
    if trace := letter.reason.get("traceback"):
        yield "\nThe trace of the last attempt:"
        yield from (f"  {printable(line)}" for line in str(trace).splitlines())
    yield f"\nsend it again: clubsync dead retry {letter.message_id}"
    if message is not None and (run_id := message.kwargs.get("run_id")):
        yield f"its run:       clubsync runs show {printable(str(run_id))}"


def _attempt(attempt: Mapping[str, Any]) -> str:
    at, host, took_s = attempt.get("at"), attempt.get("host"), attempt.get("duration_s")
    said = [
        f"{moment(datetime.fromtimestamp(at, UTC))} UTC" if isinstance(at, int | float) else "",
        f"on {host}" if host else "",
        f"after {took_s:.1f} s" if isinstance(took_s, int | float) else "",
        ": ".join(str(attempt[key]) for key in ("error", "text") if attempt.get(key)),
    ]
    return printable("  ".join(part for part in said if part))


def _matching(index: DeadIndex, match: Match, search: str | None) -> Iterator[DeadLetter]:
    before: Position | None = None
    while True:
        page = index.find(match, limit=PAGE, before=before, search=search)
        yield from page.letters
        if page.next_before is None:
            return
        before = page.next_before


def _require_queue(letters: DeadLetters, match: Match) -> None:
    known = sorted({*Queue, *letters.queue_names()})
    if match.queue is not None and match.queue not in known:
        raise InvalidRequest(f"there is no queue {match.queue}; one of {', '.join(known)}")


def _paged(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    is_hidden = len(places) <= PAGE or not sys.stderr.isatty()
    with click.progressbar(length=len(places), file=sys.stderr, hidden=is_hidden) as bar:
        for start in range(0, len(places), PAGE):
            some = places[start : start + PAGE]
            yield some
            bar.update(len(some))
