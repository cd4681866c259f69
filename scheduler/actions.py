"""What a tick sends: a batch of account syncs, or one health check."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from brokers.messages import CheckHealth, Request
from scheduler.batches import Batches
from scheduler.housework import Housework
from scheduler.schedule import Entry, Tick
from scheduler.ticker import NotYet, Sent, TooLate
from stores.redis.batches import Batch, Cancellation
from stores.redis.schedule import SCHEDULER, TickOutcome
from sync.ports import Clock

log = logging.getLogger(__name__)

# A takeover and a sweep may take so long, whatever an entry's catch-up window is.
TAKEOVER_S = 10.0


class Publisher(Protocol):
    def send(
        self, request: Request, *, delay_s: float, message_id: str | None, requested_by: str | None
    ) -> object: ...


class Note(Protocol):
    def __call__(self, *, action: str, subject: str, detail: Mapping[str, Any]) -> None:
        """Append a line to the audit, in the scheduler's name."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """Satisfies `scheduler.ticker.Send`. `housework` is what is done here, by the action's name."""

    batches: Batches
    publisher: Publisher
    note: Note
    housework: Mapping[str, Housework]
    quota_share: Callable[[], float]
    clock: Clock

    def __call__(self, entry: Entry, tick: Tick, *, raise_if_not_leading: Callable[[], None]) -> Sent:
        self._raise_if_too_late(entry, tick)
        if (housework := self.housework.get(entry.settings.action)) is not None:
            return self._do(housework, tick, raise_if_not_leading)
        if entry.settings.action == "check_health":
            self._check_health(tick)
            return Sent()
        last = None
        if entry.settings.overlap != "allow":
            last = self.batches.running(entry.id, besides=tick.id)
        if last is not None:
            self._raise_unless_due(tick)
            match entry.settings.overlap:
                case "queue":
                    raise NotYet("the last batch still runs")
                case "cancel":
                    last = self._cancel(last, tick)
                case _:
                    return Sent(message="skipped: the last batch still runs", outcome=TickOutcome.SKIPPED)
        batch = self.batches.start(self.planned(entry, tick), raise_if_not_leading=raise_if_not_leading)
        said = f"{batch.total} accounts"
        return Sent(batch_id=batch.id, message=f"{said}; the last batch: {last.message}" if last else said)

    def take_back(self, batch_id: str, reason: str) -> bool:
        """Cancel a batch that is not due yet; False while it is still being sent."""
        by = f"{SCHEDULER}, because {reason}"
        cancelled = self.batches.cancel(Cancellation(batch_id=batch_id, by=by, at=self.clock.now()))
        if cancelled is None:
            return False
        detail = {"reason": cancelled.message, "entry": cancelled.entry_id}
        self.note(action="batch_cancelled", subject=f"batch:{batch_id}", detail=detail)
        return True

    def planned(self, entry: Entry, tick: Tick) -> Batch:
        """The batch that the tick starts."""
        settings, wanted = entry.settings, entry.settings.filter
        budget_s = None
        if wanted.is_near_match:
            following = entry.next_tick(tick.at)
            until_then = following.at - tick.at if following is not None else timedelta(days=1)
            budget_s = until_then.total_seconds() * self.quota_share()
        return Batch(
            id=tick.id,
            starts_at=tick.due_at,
            requested_by=SCHEDULER,
            entry_id=entry.id,
            preset=settings.preset,
            priority=settings.priority,
            types=wanted.types,
            tags=wanted.tags,
            plans=wanted.plans,
            provider=wanted.provider,
            older_than_s=wanted.older_than_s,
            is_due=wanted.is_due,
            is_near_match=wanted.is_near_match,
            budget_s=budget_s,
            spread_s=settings.spread_s,
        )

    def _do(self, housework: Housework, tick: Tick, raise_if_not_leading: Callable[[], None]) -> Sent:
        self._raise_unless_due(tick)
        found = housework(raise_if_not_leading)
        if found.changes or found.is_alarm:
            detail = {"message": found.message, **found.changes}
            self.note(action="housekeeping", subject=f"schedule:{tick.entry_id}", detail=detail)
        outcome = TickOutcome.ALARMED if found.is_alarm else TickOutcome.DONE
        if found.is_alarm:
            log.warning("housekeeping_alarmed", extra={"entry": tick.entry_id, "reason": found.message})
        return Sent(message=found.message, outcome=outcome)

    def _cancel(self, last: Batch, tick: Tick) -> Batch:
        cancellation = Cancellation(batch_id=last.id, by=SCHEDULER, at=tick.due_at)
        cancelled = self.batches.cancel(cancellation)
        if cancelled is None:
            raise NotYet("the last batch is still being sent")
        detail = {"reason": cancelled.message, "entry": tick.entry_id}
        self.note(action="batch_cancelled", subject=f"batch:{last.id}", detail=detail)
        return cancelled

    def _raise_if_too_late(self, entry: Entry, tick: Tick) -> None:
        """A tick that nobody could lead through in time is missed; a batch that was begun goes on."""
        limit_s = max(entry.settings.catch_up_s, TAKEOVER_S)
        if self.clock.now() <= tick.due_at + timedelta(seconds=limit_s):
            return
        if entry.settings.action != "batch" or self.batches.store.find_or_none(tick.id) is None:
            raise TooLate(f"later than {limit_s:g} s")

    def _raise_unless_due(self, tick: Tick) -> None:
        # Ticks come a little ahead of their time, and the last batch may end until then.
        if self.clock.now() < tick.due_at:
            raise NotYet("it is not due yet")

    def _check_health(self, tick: Tick) -> None:
        message = CheckHealth(requested_at=tick.due_at)
        self.publisher.send(
            Request(message, message.priority),
            delay_s=max((tick.due_at - self.clock.now()).total_seconds(), 0.0),
            message_id=str(uuid.UUID(tick.id)),
            requested_by=SCHEDULER,
        )
