"""Sends what each entry is due to send: each tick once, over kills and takeovers.

Ticks are sent a little ahead, with a delay: the broker holds them until they are due. A
scheduler that takes over within that time sends the pending ones again under the same ids,
and the broker, which has them, changes nothing. A tick whose entry was removed, paused or
given other times meanwhile is taken back just before it is due.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from scheduler.leader import Leader, NotLeading
from scheduler.schedule import Entry, Tick, due
from stores.redis.schedule import (
    SCHEDULER,
    Claim,
    EntryState,
    Pause,
    RunNow,
    Schedule,
    TickOutcome,
    TickResult,
)
from sync.errors import DeferredError, TransientError
from sync.ports import Clock

log = logging.getLogger(__name__)

# A takeover takes one lease, and one renewal of the one who waits.
AHEAD_LEASES = 2.0
AHEAD_S = 2.0
# So long before a tick is due it is decided whether it still is one: until then a pause may be ended.
LAST_CALL_S = 1.5
# An entry whose ticks fail this often in a row needs a person.
MAX_FAILURES = 3
# The trigger of an entry that was taken out of the settings.
REMOVED = "removed"
# A cursor further in the future than this comes from a clock that was wrong.
MAX_CLOCK_STEP = timedelta(hours=1)


class NotYet(Exception):
    """The tick's time has not come; it stays pending, and is tried again with the next sweep."""


class TooLate(Exception):
    """Nothing of the tick was done in time, and now it is too late to begin."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a tick led to."""

    batch_id: str | None = None
    message: str | None = None
    outcome: TickOutcome = TickOutcome.DONE


class Send(Protocol):
    def __call__(self, entry: Entry, tick: Tick, *, raise_if_not_leading: Callable[[], None]) -> Sent:
        """Send what the tick asks for, to start when it is due; repeatable by the tick's id.

        Long work calls `raise_if_not_leading` now and then. Raises NotYet and TooLate.
        """
        ...

    def take_back(self, batch_id: str, reason: str) -> bool:
        """Cancel a batch that is not due yet; False while it is still being sent."""
        ...


class OnPaused(Protocol):
    def __call__(self, entry_id: str, reason: str) -> None:
        """Tell people that an entry has paused itself."""
        ...


@dataclass(slots=True)
class _Position:
    """How far an entry is, as this leader knows it in one term."""

    term: int
    definition: str
    cursor: datetime
    pending: datetime | None
    foretold: datetime | None = None  # the cursor whose next tick was told last
    following: Tick | None = None  # that next tick


class Ticker:
    """One entry is swept by one thread at a time; different entries may be at once."""

    def __init__(
        self, schedule: Schedule, leader: Leader, send: Send, clock: Clock, on_paused: OnPaused
    ) -> None:
        self._schedule = schedule
        self._leader = leader
        self._send = send
        self._clock = clock
        self._on_paused = on_paused
        self._positions: dict[str, _Position] = {}
        # The ticks that this process sent and that are not due yet, by their batches.
        self._sent_ahead: dict[str, Tick] = {}

    def sweep(self, entry: Entry) -> None:
        """Send the entry's due ticks, if this process leads. Raises StoreUnavailable."""
        term = self._leader.term
        if term is None:
            return
        position = self._position(entry, term)
        try:
            if position.pending is None or self._resume(entry, position):
                self._advance(entry, position)
        except NotLeading:
            log.warning("tick_left_pending", extra={"entry": entry.id})

    def run_now(self, entry: Entry, request: RunNow) -> None:
        """Carry out an entry's action at once, beside its ticks, because somebody asked.

        Raises NotYet while the entry's overlap rule keeps it waiting.
        """
        now = self._clock.now()
        tick = AskedTick(entry.id, request.requested_at, now, request.id)
        sent = self._send(entry, tick, raise_if_not_leading=self._leader.raise_if_not_leading)
        result = TickResult(
            tick_at=tick.at,
            settled_at=self._clock.now(),
            outcome=sent.outcome,
            batch_id=sent.batch_id,
            message=sent.message,
        )
        self._schedule.settle(entry.id, result, owner=self._leader.owner)
        fields = {"entry": entry.id, "requested_by": request.requested_by, "batch_id": sent.batch_id}
        log.info("entry_run_now", extra=fields)

    def forget_removed(self, table: Collection[str]) -> None:
        """Let entries that are not in the table begin anew if they come back.

        What falls into the time between is no tick of theirs. Raises StoreUnavailable, NotLeading.
        """
        self._leader.raise_if_not_leading()
        now = self._clock.now()
        for entry_id, state in self._schedule.states().items():
            if entry_id not in table and state.cursor_at is not None and state.definition != REMOVED:
                self._schedule.begin(entry_id, REMOVED, now, owner=self._leader.owner)
                self._positions.pop(entry_id, None)

    def take_back(self, table: Mapping[str, Entry]) -> None:
        """Cancel what was sent for ticks that are none any more, just before they are due.

        Raises StoreUnavailable, NotLeading.
        """
        for batch_id, tick in list(self._sent_ahead.items()):
            left_s = (tick.due_at - self._clock.now()).total_seconds()
            if left_s <= 0:
                del self._sent_ahead[batch_id]
            elif left_s <= LAST_CALL_S and (reason := self._why_not(tick, table)):
                self._leader.raise_if_not_leading()
                if self._send.take_back(batch_id, reason):
                    del self._sent_ahead[batch_id]
                    log.info("tick_taken_back", extra={"entry": tick.entry_id, "reason": reason})
                    self._schedule.settle(
                        tick.entry_id,
                        TickResult(
                            tick_at=tick.at,
                            settled_at=self._clock.now(),
                            outcome=TickOutcome.SKIPPED,
                            batch_id=batch_id,
                            message=f"taken back: {reason}",
                        ),
                        owner=self._leader.owner,
                    )

    def _why_not(self, tick: Tick, table: Mapping[str, Entry]) -> str | None:
        """Why the tick is none any more; None while it is one."""
        entry = table.get(tick.entry_id)
        if entry is None:
            return f"the settings have no entry {tick.entry_id} any more, or pause it"
        state = self._schedule.states().get(tick.entry_id)
        if state is not None and state.pause is not None:
            return f"{state.pause.by} paused {tick.entry_id}"
        if next(entry.ticks(tick.at - timedelta(milliseconds=1), tick.at), None) is None:
            return f"{tick.entry_id} has other times now"
        return None

    def _position(self, entry: Entry, term: int) -> _Position:
        known = self._positions.get(entry.id)
        if known is None or known.term != term or known.definition != entry.definition:
            known = self._positions[entry.id] = self._read(entry, term)
        return known

    def _read(self, entry: Entry, term: int) -> _Position:
        state = self._schedule.states().get(entry.id, EntryState())
        now = self._clock.now()
        is_known = state.cursor_at is not None and state.definition == entry.definition
        if state.cursor_at is not None and is_known and state.cursor_at < now + self._ahead + MAX_CLOCK_STEP:
            return _Position(term, entry.definition, state.cursor_at, state.pending_at)
        # What the last leader left half done under the old trigger is done before the new one counts.
        pending = None if is_known else state.pending_at
        self._schedule.begin(
            entry.id, entry.definition, now, owner=self._leader.owner, keeps_pending=pending is not None
        )
        return _Position(term, entry.definition, now, pending)

    def _resume(self, entry: Entry, position: _Position) -> bool:
        """Send the pending tick again; False while it still cannot be sent."""
        pending = position.pending
        assert pending is not None  # noqa: S101  the caller asked
        tick = next(entry.ticks(pending - timedelta(milliseconds=1), pending), None)
        # It was one of another trigger, or of a clock that was wrong: its name is the same.
        return self._carry_out(entry, tick or Tick(entry.id, pending, pending), position)

    def _advance(self, entry: Entry, position: _Position) -> None:
        now = self._clock.now()
        following = position.following
        if position.foretold == position.cursor and (following is None or following.at > now + self._ahead):
            return
        work = due(entry, position.cursor, now, ahead_s=self._ahead.total_seconds())
        if work.missed is not None:
            self._pass_over(entry, work.missed, position, until=work.window_start)
        for tick in work.send:
            self._leader.raise_if_not_leading()
            claim = self._claim(entry, tick, position)
            if claim is Claim.TAKEN and not self._carry_out(entry, tick, position):
                return
        if position.foretold != position.cursor:
            following = entry.next_tick(position.cursor)
            self._schedule.foretell(entry.id, following.due_at if following else None)
            position.foretold, position.following = position.cursor, following

    def _claim(self, entry: Entry, tick: Tick, position: _Position) -> Claim:
        claim = self._schedule.claim(entry.id, entry.definition, tick.at, owner=self._leader.owner)
        if claim is Claim.LOST:
            raise NotLeading("another scheduler leads")
        position.cursor = tick.at
        if claim is Claim.TAKEN:
            position.pending = tick.at
        if claim is Claim.PAUSED:
            log.info("tick_passed_over", extra={"entry": entry.id, "tick_at": tick.at, "reason": "paused"})
        return claim

    def _pass_over(self, entry: Entry, missed: Tick, position: _Position, *, until: datetime) -> None:
        log.warning("tick_missed", extra={"entry": entry.id, "tick_at": missed.at})
        self._schedule.begin(entry.id, entry.definition, until, owner=self._leader.owner)
        position.cursor = until
        message = f"missed: later than {entry.settings.catch_up_s:g} s"
        self._settle_missed(missed, position, message)

    def _carry_out(self, entry: Entry, tick: Tick, position: _Position) -> bool:
        # This process may have stood still since it took the tick.
        self._leader.raise_if_not_leading()
        try:
            sent = self._send(entry, tick, raise_if_not_leading=self._leader.raise_if_not_leading)
        except NotYet as reason:
            if self._may_wait(entry, tick):
                return False
            self._settle_missed(tick, position, f"missed: {reason}")
        except TooLate as reason:
            self._settle_missed(tick, position, f"missed: {reason}")
        except (TransientError, DeferredError) as error:
            if self._may_wait(entry, tick):
                log.warning("tick_not_sent_yet", extra={"entry": entry.id, "reason": str(error)})
                return False
            self._fail(tick, position, str(error))
        except NotLeading:
            raise
        except Exception as error:
            # Anything may be wrong with what one entry asks for; the others go on.
            log.exception("tick_failed", extra={"entry": entry.id, "tick_at": tick.at})
            self._fail(tick, position, f"{type(error).__name__}: {error}")
        else:
            log.info("tick_sent", extra={"entry": entry.id, "tick_at": tick.at, "batch_id": sent.batch_id})
            if sent.batch_id is not None and tick.due_at > self._clock.now():
                self._sent_ahead[sent.batch_id] = tick
            result = TickResult(
                tick_at=tick.at,
                settled_at=self._clock.now(),
                outcome=sent.outcome,
                batch_id=sent.batch_id,
                message=sent.message,
            )
            self._settle(tick, position, result)
        return True

    def _may_wait(self, entry: Entry, tick: Tick) -> bool:
        return self._clock.now() < tick.due_at + timedelta(seconds=entry.settings.catch_up_s)

    def _fail(self, tick: Tick, position: _Position, message: str) -> None:
        now = self._clock.now()
        result = TickResult(tick_at=tick.at, settled_at=now, outcome=TickOutcome.FAILED, message=message)
        if self._settle(tick, position, result) >= MAX_FAILURES:
            reason = f"{MAX_FAILURES} ticks in a row failed; the last: {message}"
            log.error("entry_paused_itself", extra={"entry": tick.entry_id, "reason": reason})
            self._schedule.pause(tick.entry_id, Pause(by=SCHEDULER, at=now, reason=reason))
            self._on_paused(tick.entry_id, reason)

    def _settle_missed(self, tick: Tick, position: _Position, message: str) -> None:
        result = TickResult(
            tick_at=tick.at, settled_at=self._clock.now(), outcome=TickOutcome.MISSED, message=message
        )
        self._settle(tick, position, result)

    def _settle(self, tick: Tick, position: _Position, result: TickResult) -> int:
        failures = self._schedule.settle(tick.entry_id, result, owner=self._leader.owner)
        position.pending = None
        return failures

    @property
    def _ahead(self) -> timedelta:
        return timedelta(seconds=self._leader.lease_s * AHEAD_LEASES + AHEAD_S)


@dataclass(frozen=True, slots=True)
class AskedTick(Tick):
    """Not of the schedule: somebody asked; the request gives the id."""

    request_id: str

    @property
    def id(self) -> str:
        return self.request_id
