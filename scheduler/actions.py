"""What a tick sends: a batch of account syncs, or one health check."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Protocol

from brokers.messages import CheckHealth, Request
from scheduler.batches import Batches
from scheduler.schedule import Entry, Tick
from scheduler.ticker import NotYet, Sent
from settings.schema import ScheduleEntry
from stores.redis.batches import Batch
from stores.redis.schedule import TickOutcome
from sync.ports import Clock

SCHEDULER = "scheduler"


class Publisher(Protocol):
    def send(
        self, request: Request, *, delay_s: float, message_id: str | None, requested_by: str | None
    ) -> object: ...


class Actions:
    """Satisfies `scheduler.ticker.Send`."""

    def __init__(self, batches: Batches, publisher: Publisher, clock: Clock) -> None:
        self._batches = batches
        self._publisher = publisher
        self._clock = clock

    def __call__(self, entry: Entry, tick: Tick, *, raise_if_not_leading: Callable[[], None]) -> Sent:
        if entry.settings.action == "check_health":
            self._check_health(tick)
            return Sent()
        if entry.settings.overlap != "allow" and self._batches.is_busy(entry.id, besides=tick.id):
            self._raise_unless_due(tick)
            if entry.settings.overlap == "queue":
                raise NotYet("the last batch still runs")
            return Sent(message="skipped: the last batch still runs", outcome=TickOutcome.SKIPPED)
        batch = self._batches.start(_batch(entry, tick), raise_if_not_leading=raise_if_not_leading)
        return Sent(batch_id=batch.id, message=f"{batch.total} accounts")

    def _raise_unless_due(self, tick: Tick) -> None:
        # Ticks come a little ahead of their time, and the last batch may end until then.
        if self._clock.now() < tick.due_at:
            raise NotYet("it is not due yet")

    def _check_health(self, tick: Tick) -> None:
        message = CheckHealth(requested_at=tick.due_at)
        self._publisher.send(
            Request(message, message.priority),
            delay_s=max((tick.due_at - self._clock.now()).total_seconds(), 0.0),
            message_id=str(uuid.UUID(tick.id)),
            requested_by=SCHEDULER,
        )


def _batch(entry: Entry, tick: Tick) -> Batch:
    settings: ScheduleEntry = entry.settings
    return Batch(
        id=tick.id,
        starts_at=tick.due_at,
        requested_by=SCHEDULER,
        entry_id=entry.id,
        preset=settings.preset,
        priority=settings.priority,
        types=settings.filter.types,
        tags=settings.filter.tags,
        provider=settings.filter.provider,
        spread_s=settings.spread_s,
    )
