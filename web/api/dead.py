"""The dead letters: what will not be tried again by itself, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from itertools import islice
from typing import Annotated, Any, Self

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from brokers.dead_index import Group, Match, Position
from brokers.messages import parse
from brokers.queues import Priority, Queue
from brokers.states import DeadLetter
from stores.sql.paging import Page, read_cursor, write_cursor
from sync.counting import counted, counted_are
from sync.errors import InvalidRequest, NotFound
from web.access import Operator, Reader
from web.api.audited import SOURCE, note
from web.api.bodies import Body, documented_body, read_json
from web.api.orders import LARGEST_ACCOUNT_ID
from web.api.paging import ListQuery
from web.api.shapes import Done, Paged
from web.problems import documented
from web.services import Has, Services

router = APIRouter(prefix="/dead", tags=["operations"])

MessageId = Annotated[str, Path(max_length=100, examples=["0b7d9a7e-5f38-4d0c-9a53-7d1b2c3d4e5f"])]
# One act by filter; more is done by asking again.
MOST_AT_ONCE = 10_000
_PAGE = 500


class DeadBody(BaseModel):
    """A message and why it died."""

    id: str
    queue: str
    actor: str | None = Field(description="null when it cannot be decoded")
    account_id: int | None
    run_id: str | None
    priority: Priority | None
    died_at: datetime
    kind: str = Field(description="failed, poison, undecodable, ...", examples=["failed"])
    error: str
    reason: dict[str, Any] = Field(description="with each attempt's error, where it is known")
    arguments: dict[str, Any] | None
    body: str | None = Field(description="what was stored, when it cannot be decoded")


class GroupFilter(BaseModel):
    """Narrowed by every filter that is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: Queue | None = None
    actor: str | None = Field(default=None, max_length=100)
    account_id: int | None = Field(default=None, ge=1, le=LARGEST_ACCOUNT_ID)
    error: str | None = Field(default=None, max_length=40, description="the id of a group of `/dead/groups`")
    died_since: AwareDatetime | None = Field(default=None, examples=["2031-10-18T00:00:00Z"])
    died_before: AwareDatetime | None = None


class DeadQuery(ListQuery, GroupFilter):
    q: str | None = Field(default=None, max_length=200, description="any part of id, payload or reason")


class GroupBody(BaseModel):
    """Dead letters with the same error, ids and numbers left out."""

    id: str = Field(examples=["5f0c2f8e6f6d"])
    error: str = Field(examples=["ProviderUnavailable: fetch games of grade … the provider answered 503"])
    count: int
    queues: list[str]
    actors: list[str]
    account_count: int = Field(description="how many accounts are concerned")
    first_died_at: datetime
    last_died_at: datetime
    latest_id: str = Field(description="the id of the last one that died")


class DeadMatch(Body):
    """Which dead letters; at least one field, so that nobody means all of them by accident."""

    queue: Queue | None = None
    actor: str | None = Field(default=None, max_length=100)
    account_id: int | None = Field(default=None, ge=1, le=LARGEST_ACCOUNT_ID)
    error: str | None = Field(default=None, max_length=40, description="the id of a group of `/dead/groups`")
    died_since: AwareDatetime | None = None
    died_before: AwareDatetime | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        if not self.model_dump(exclude_none=True):
            fields = ", ".join(type(self).model_fields)
            raise ValueError(f"name at least one of {fields}; an empty filter would mean all")
        return self


class DeadFilter(DeadMatch):
    """As a filter, or ids, or a text."""

    ids: list[str] | None = Field(default=None, min_length=1, max_length=MOST_AT_ONCE)
    q: str | None = Field(default=None, min_length=1, max_length=200)


class Retry(Body):
    """How to send it again; left out, as it was."""

    arguments: dict[str, Any] | None = Field(default=None, description="replace the named arguments")
    priority: Priority | None = None


@router.get("", summary="List dead letters")
def list_dead(_caller: Reader, services: Has, query: Annotated[DeadQuery, Query()]) -> Paged[DeadBody]:
    """Latest first. With `q`, a page looks through at most 20,000 letters and may hold fewer than `limit`."""
    page = matching_page(services, query)
    return Paged(items=list(page.items), next_cursor=page.next_cursor)


@router.get("/groups", summary="Group dead letters by error")
def list_groups(_caller: Reader, services: Has, query: Annotated[GroupFilter, Query()]) -> Paged[GroupBody]:
    """All that match, by their error without ids and numbers, the largest group first; one page."""
    return Paged(items=[group_body(group) for group in groups(services, query)], next_cursor=None)


async def _read_filter(request: Request) -> DeadFilter:
    return await read_json(request, DeadFilter)


FILTER_EXAMPLES = {
    "of one error": {"q": "the provider answered 503"},
    "of one account": {"account_id": 42},
}
BODY_PROBLEMS = documented(HTTPStatus.BAD_REQUEST, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


@router.post(
    "/retry",
    summary="Retry dead letters",
    openapi_extra=documented_body(DeadFilter, FILTER_EXAMPLES),
    responses=BODY_PROBLEMS,
)
def retry_many(caller: Operator, services: Has, wanted: Annotated[DeadFilter, Depends(_read_filter)]) -> Done:
    """Send all that match again, from their first attempt; at most 10,000 at once."""
    count = services.letters.retry(list(islice(_matching(services, wanted), MOST_AT_ONCE)))
    note(
        services,
        caller,
        "dead_retried",
        None,
        count=count,
        **wanted.model_dump(mode="json", exclude_none=True),
    )
    return Done(detail=f"{counted(count, 'message')} sent again.", count=count)


@router.post(
    "/delete",
    summary="Delete dead letters",
    openapi_extra=documented_body(DeadFilter, FILTER_EXAMPLES),
    responses=BODY_PROBLEMS,
)
def delete_many(
    caller: Operator, services: Has, wanted: Annotated[DeadFilter, Depends(_read_filter)]
) -> Done:
    """Delete all that match, for good; at most 10,000 at once. Runs of theirs that are open are cancelled."""
    letters = list(islice(_matching(services, wanted), MOST_AT_ONCE))
    done = services.removal.delete(letters, by=f"{SOURCE}:{caller.name}")
    note(
        services,
        caller,
        "dead_deleted",
        None,
        count=done.messages,
        runs=done.runs,
        **wanted.model_dump(mode="json", exclude_none=True),
    )
    said = f"{counted_are(done.messages, 'dead letter')} deleted{done.and_runs}."
    return Done(detail=said, count=done.messages)


@router.get("/{message_id}", summary="A dead letter", responses=documented(HTTPStatus.NOT_FOUND))
def show_dead(message_id: MessageId, _caller: Reader, services: Has) -> DeadBody:
    return dead_body(find_dead(services, message_id))


async def _read_retry(request: Request) -> Retry:
    return await read_json(request, Retry) if await request.body() else Retry()


@router.post(
    "/{message_id}/retry",
    summary="Retry a dead letter",
    openapi_extra=documented_body(
        Retry, {"as it was": {}, "edited": {"arguments": {"preset": "quick"}, "priority": "high"}}
    ),
    responses={**BODY_PROBLEMS, **documented(HTTPStatus.NOT_FOUND)},
)
def retry_one(
    message_id: MessageId, caller: Operator, services: Has, change: Annotated[Retry, Depends(_read_retry)]
) -> Done:
    """Send it again from its first attempt, edited if need be."""
    letter = find_dead(services, message_id)
    count = retry_letter(services, letter, arguments=change.arguments, priority=change.priority)
    note(
        services,
        caller,
        "dead_retried",
        f"message:{message_id}",
        **change.model_dump(mode="json", exclude_none=True),
    )
    if count == 0:
        return Done(detail="It stays: a newer message does its work, or it cannot be decoded.", count=0)
    return Done(detail=f"{message_id} waits again.", count=1)


@router.delete("/{message_id}", summary="Delete a dead letter", responses=documented(HTTPStatus.NOT_FOUND))
def delete_one(message_id: MessageId, caller: Operator, services: Has) -> Done:
    """Delete it for good; its run, if that is open, is cancelled."""
    letter = find_dead(services, message_id)
    done = services.removal.delete([letter], by=f"{SOURCE}:{caller.name}")
    note(services, caller, "dead_deleted", f"message:{message_id}", queue=letter.queue)
    return Done(detail=f"{message_id} is deleted{done.and_runs}.", count=1)


def match_of(wanted: GroupFilter | DeadMatch) -> Match:
    """The filter as the index takes it."""
    return Match(
        queue=wanted.queue and wanted.queue.value,
        actor=wanted.actor,
        account_id=wanted.account_id,
        group=wanted.error,
        died_since_s=_seconds(wanted.died_since),
        died_before_s=_seconds(wanted.died_before),
    )


def _seconds(at: datetime | None) -> float | None:
    return None if at is None else at.timestamp()


def groups(services: Services, wanted: GroupFilter) -> list[Group]:
    """All groups of the letters that match."""
    return services.dead.groups(match_of(wanted))


def matching_page(services: Services, query: DeadQuery) -> Page[DeadBody]:
    """A page of what matches. Raises InvalidRequest for a foreign cursor."""
    before = None if query.cursor is None else read_cursor(query.cursor, tuple[int, str])
    found = services.dead.find(match_of(query), limit=query.limit, before=before, search=query.q)
    cursor = None if found.next_before is None else write_cursor(found.next_before)
    return Page([dead_body(letter) for letter in found.letters], cursor)


def find_dead(services: Services, message_id: str) -> DeadLetter:
    """Raises NotFound."""
    letter = services.letters.find(message_id)
    if letter is None:
        raise NotFound(f"there is no dead letter {message_id!r}")
    return letter


def retry_letter(
    services: Services,
    letter: DeadLetter,
    *,
    arguments: dict[str, Any] | None = None,
    priority: Priority | None = None,
) -> int:
    """How many wait again, 0 or 1. Raises InvalidRequest when the edited message would be refused."""
    if arguments and letter.message is not None:
        parse({"actor": letter.message.actor_name, **letter.message.kwargs, **arguments})
        preset = arguments.get("preset")
        if preset is not None and preset not in services.settings().presets:
            raise InvalidRequest(f"preset: {preset!r} is not a preset")
    return services.letters.retry([letter], kwargs=arguments, priority=priority)


def dead_body(letter: DeadLetter) -> DeadBody:
    message, header = letter.message, letter.header
    arguments = dict(message.kwargs) if message else None
    return DeadBody(
        id=letter.message_id,
        queue=letter.queue,
        actor=message.actor_name if message else None,
        account_id=arguments.get("account_id") if arguments else None,
        run_id=arguments.get("run_id") if arguments else None,
        priority=header.priority if header else None,
        died_at=datetime.fromtimestamp(letter.died_at_s, UTC),
        kind=str(letter.reason.get("kind", "failed")),
        error=str(letter.reason.get("error", "unknown")),
        reason=json.loads(json.dumps(dict(letter.reason), default=str)),
        arguments=arguments,
        body=None if message else letter.body.decode(errors="replace"),
    )


def group_body(group: Group) -> GroupBody:
    return GroupBody(
        id=group.id,
        error=group.error,
        count=group.count,
        queues=list(group.queues),
        actors=list(group.actors),
        account_count=group.account_count,
        first_died_at=datetime.fromtimestamp(group.first_died_ms / 1000, UTC),
        last_died_at=datetime.fromtimestamp(group.latest.died_ms / 1000, UTC),
        latest_id=group.latest.message_id,
    )


def _matching(services: Services, wanted: DeadFilter) -> Iterator[DeadLetter]:
    if wanted.ids is not None:
        found = (services.letters.find(message_id) for message_id in wanted.ids)
        yield from (letter for letter in found if letter is not None)
        return
    before: Position | None = None
    while True:
        page = services.dead.find(match_of(wanted), limit=_PAGE, before=before, search=wanted.q)
        yield from page.letters
        if page.next_before is None:
            return
        before = page.next_before
