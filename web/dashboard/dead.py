"""The pages of the dead letters: all of them by error, one by one, and the mass retries."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from web.access import Reader
from web.api.dead import DeadQuery, dead_body, find_dead, group_body, groups, matching_page
from web.api.mass_retries import MassRetryBody, mass_retry_body
from web.api.queues import queue_states
from web.dashboard.pages import render
from web.services import Has, Services

router = APIRouter(include_in_schema=False)

GROUPS_SHOWN = 30
# An ended mass retry is news for a day.
NEWS_FOR_S = 24 * 3600
MASS_RETRIES_SHOWN = 5


class Age(StrEnum):
    """How long ago letters died."""

    HOUR = "the last hour"
    DAY = "the last day"
    WEEK = "the last week"
    OLDER = "more than a week ago"


SINCE = {Age.HOUR: timedelta(hours=1), Age.DAY: timedelta(days=1), Age.WEEK: timedelta(days=7)}


class DeadPageQuery(DeadQuery):
    """What the page's form sends: the age in words."""

    age: Age | None = None

    def as_filter(self, now: datetime) -> DeadQuery:
        """With the age as the times between which letters died."""
        fields = self.model_dump(exclude={"age"})
        if self.age is Age.OLDER:
            fields["died_before"] = now - SINCE[Age.WEEK]
        elif self.age is not None:
            fields["died_since"] = now - SINCE[self.age]
        return DeadQuery(**fields)


@router.get("/dead")
def show_dead(
    request: Request, caller: Reader, services: Has, query: Annotated[DeadPageQuery, Query()]
) -> Response:
    wanted = query.as_filter(services.clock.now())
    found = groups(services, wanted)
    matching = [group_body(group) for group in found]
    return render(
        request,
        caller,
        "dead.html",
        page=matching_page(services, wanted),
        groups=matching[:GROUPS_SHOWN],
        group_count=len(matching),
        matching_count=sum(group.count for group in matching),
        total=sum(queue.dead for queue in queue_states(services)),
        queues=[queue.name for queue in queue_states(services) if queue.dead],
        actors=sorted({actor for group in matching for actor in group.actors}),
        ages=list(Age),
        retries=_mass_retries(services),
        act_fields=_act_fields(wanted),
    )


@router.get("/dead/{message_id}")
def show_dead_letter(request: Request, caller: Reader, services: Has, message_id: str) -> Response:
    letter = dead_body(find_dead(services, message_id))
    attempts = [_attempt(one) for one in letter.reason.get("attempts", []) if isinstance(one, dict)]
    return render(request, caller, "dead_letter.html", letter=letter, attempts=attempts)


def _mass_retries(services: Services) -> list[MassRetryBody]:
    """Those that go on, and the latest that have ended."""
    now_s = time.time()
    return [
        mass_retry_body(one)
        for one in services.mass_retries.list()
        if one.ended_at_s is None or now_s - one.ended_at_s < NEWS_FOR_S
    ][:MASS_RETRIES_SHOWN]


def _act_fields(wanted: DeadQuery) -> dict[str, str]:
    """The filter as a form's hidden fields, so that an act concerns what was shown."""
    fields = wanted.model_dump(mode="json", exclude_none=True, exclude={"limit", "cursor", "q", "error"})
    return {name: str(value) for name, value in fields.items()}


def _attempt(one: dict[str, Any]) -> dict[str, Any]:
    at = one.get("at")
    return {**one, "at": datetime.fromtimestamp(at, UTC) if isinstance(at, int | float) else None}
