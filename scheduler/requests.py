"""What people ask of the scheduler: an entry at once, or a batch of their own.

Requests wait in Redis for the leader. One is taken off the list only after it was carried
out, under ids of its own, so that a takeover in between repeats it without effect.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from contextlib import suppress

import msgspec

from scheduler.batches import Batches
from scheduler.leader import Leader
from scheduler.schedule import Entry, Tick
from scheduler.ticker import NotYet, Ticker
from stores.redis.batches import Batch, BatchState
from stores.redis.batches import Batches as BatchStore
from stores.redis.schedule import RunNow, Schedule
from sync.errors import NotFound, PermanentError

log = logging.getLogger(__name__)


class Requests:
    def __init__(
        self, leader: Leader, ticker: Ticker, batches: Batches, schedule: Schedule, batch_store: BatchStore
    ) -> None:
        self._leader = leader
        self._ticker = ticker
        self._batches = batches
        self._schedule = schedule
        self._batch_store = batch_store

    def answer(self, table: Mapping[str, Entry]) -> None:
        """Carry out what is asked for. Raises what may pass by itself; the rest is asked for still."""
        for request in self._schedule.asked():
            with suppress(NotYet):
                self._run_now(request, table)
                self._schedule.answer(request.id)
        for batch in self._batch_store.asked():
            self._start(batch)
            self._batch_store.answer(batch.id)

    def cancel(self) -> None:
        """Take back the batches that are to be cancelled. Raises what may pass by itself."""
        for cancellation in self._batch_store.cancellations():
            self._leader.raise_if_not_leading()
            batch = self._batch_store.find_or_none(cancellation.batch_id)
            # A batch that is asked for is started first, which then sends nothing.
            is_open = batch is not None and batch.state is not BatchState.ASKED
            if batch is None or (is_open and self._batches.cancel(cancellation) is not None):
                self._batch_store.answer_cancellation(cancellation.batch_id)

    def finish(self) -> None:
        """Go on with batches that were begun and that nobody will send: their entry was taken out of
        the settings, or their tick given up, after whoever sent them died.

        Raises what may pass by itself.
        """
        # Read before what is claimed: one that is claimed after this is not among them.
        for batch in self._batch_store.sending():
            if not self._batches.is_sending(batch.id) and batch.id not in self._claimed():
                log.warning("batch_taken_up", extra={"batch_id": batch.id, "entry": batch.entry_id})
                self._start(batch)

    def _claimed(self) -> Collection[str]:
        """The ids under which something is still to be carried out."""
        pending = [
            Tick(entry_id, state.pending_at, state.pending_at).id
            for entry_id, state in self._schedule.states().items()
            if state.pending_at is not None
        ]
        entries = [request.id for request in self._schedule.asked()]
        return {*pending, *entries, *(batch.id for batch in self._batch_store.asked())}

    def _run_now(self, request: RunNow, table: Mapping[str, Entry]) -> None:
        try:
            if (entry := table.get(request.entry_id)) is None:
                raise NotFound(f"schedule entry {request.entry_id} does not exist, or its settings pause it")
            self._ticker.run_now(entry, request)
        except PermanentError as error:
            log.warning("entry_not_run", extra={"entry": request.entry_id, "reason": str(error)})

    def _start(self, batch: Batch) -> None:
        try:
            self._batches.start(batch, raise_if_not_leading=self._leader.raise_if_not_leading)
        except PermanentError as error:
            log.warning("batch_failed", extra={"batch_id": batch.id, "reason": str(error)})
            failed = msgspec.structs.replace(batch, state=BatchState.FAILED, message=str(error))
            self._batch_store.save(failed)
