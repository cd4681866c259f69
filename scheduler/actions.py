"""What a tick sends: a batch of account syncs, or one health check."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from brokers.messages import CheckHealth, Request
from scheduler.batches import Batches
from scheduler.schedule import Entry, Tick
from scheduler.ticker import NotYet, Sent
from settings.schema import ScheduleEntry
from stores.redis.batches import Batch, Cancellation
from stores.redis.schedule import TickOutcome
from sync.ports import Clock

SCHEDULER = "scheduler"


class Publisher(Protocol):
    def send(
        self, request: Request, *, delay_s: float, message_id: str | None, requested_by: str | None
    ) -> object: ...


class Note(Protocol):
    def __call__(self, *, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """Append a line to the audit, in the scheduler's name."""
        ...


class Actions:
    """Satisfies `scheduler.ticker.Send`."""

    def __init__(self, batches: Batches, publisher: Publisher, note: Note, clock: Clock) -> None:
        self._batches = batches
        self._publisher = publisher
        self._note = note
        self._clock = clock

    def __call__(self, entry: Entry, tick: Tick, *, raise_if_not_leading: Callable[[], None]) -> Sent:
        if entry.settings.action == "check_health":
            self._check_health(tick)
            return Sent()
        last = None
        if entry.settings.overlap != "allow":
            last = self._batches.running(entry.id, besides=tick.id)
        if last is not None:
            self._raise_unless_due(tick)
            match entry.settings.overlap:
                case "queue":
                    raise NotYet("the last batch still runs")
                case "cancel":
                    last = self._cancel(last, tick)
                case _:
                    return Sent(message="skipped: the last batch still runs", outcome=TickOutcome.SKIPPED)
        batch = self._batches.start(_batch(entry, tick), raise_if_not_leading=raise_if_not_leading)
        said = f"{batch.total} accounts"
        return Sent(batch_id=batch.id, message=f"{said}; the last batch: {last.message}" if last else said)

    def _cancel(self, last: Batch, tick: Tick) -> Batch:
        cancellation = Cancellation(batch_id=last.id, by=SCHEDULER, at=tick.due_at)
        cancelled = self._batches.cancel(cancellation)
        if cancelled is None:
            raise NotYet("the last batch is still being sent")
        detail = {"reason": cancelled.message, "entry": tick.entry_id}
        self._note(action="batch_cancelled", subject=f"batch:{last.id}", detail=detail)
        return cancelled

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
        plans=settings.filter.plans,
        provider=settings.filter.provider,
        older_than_s=settings.filter.older_than_s,
        is_due=settings.filter.is_due,
        spread_s=settings.spread_s,
    )
