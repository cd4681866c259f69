"""Many accounts at once, their messages spread over a window.

A batch may be started again after a crash. Its line of accounts is kept before the first
message is sent, run and message ids follow from batch and account, and the broker knows a
message by its id: so none is lost and none runs twice in it, wherever sending stopped.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from brokers.messages import AccountSync, Request, SyncAssociation, SyncClub
from brokers.queues import Priority
from brokers.states import Withdrawal, Withdrawn
from scheduler.outlook import Outlook
from scheduler.selection import choose
from stores.redis.batches import Batch, BatchState, Cancellation, Chosen, progress
from sync.model import Account
from sync.ports import Clock
from sync.report import RunState

log = logging.getLogger(__name__)

# Messages of one round trip; small enough that a lost lead is noticed soon.
CHUNK = 500
# So far apart at least are the messages of a batch that is sent before it is due.
APART_S = 0.001
# A batch that is older than this hangs. Less than a day: one lost run must not cost the next night.
MAX_BATCH_AGE_S = 12 * 3600.0
ENDED = (BatchState.SENT, BatchState.CANCELLED, BatchState.FAILED)


class Accounts(Protocol):
    def __call__(self) -> Iterable[Account]:
        """Every account."""
        ...


class Runs(Protocol):
    def account_ids(self, batch_id: str) -> Collection[int]:
        """The accounts that have a run in the batch already."""
        ...

    def count_by_state(self, batch_id: str) -> Mapping[RunState, int]: ...

    def cancel(self, run_ids: Sequence[str], *, at: datetime, message: str) -> int:
        """Settle those that wait as cancelled; how many."""
        ...


class Receipt(Protocol):
    @property
    def is_coalesced(self) -> bool: ...

    @property
    def run_id(self) -> str | None: ...


class Publisher(Protocol):
    def send_many(
        self,
        requests: Sequence[Request],
        *,
        delays_s: Iterable[float],
        message_ids: Iterable[str | None],
        requested_by: str | None,
    ) -> Sequence[Receipt]: ...


class Withdraw(Protocol):
    def __call__(
        self, queue: str, fair_key: str, requests: Sequence[tuple[str, str]]
    ) -> Sequence[Withdrawal]: ...


class Store(Protocol):
    def save(self, batch: Batch) -> None: ...

    def find_or_none(self, batch_id: str) -> Batch | None: ...

    def latest(self, entry_id: str) -> Batch | None: ...

    def save_line(self, batch_id: str, line: Sequence[Chosen]) -> None: ...

    def line(self, batch_id: str) -> Sequence[Chosen] | None: ...

    def is_to_be_cancelled(self, batch_id: str) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches:
    """`withdraw` takes requests back by fair key, and each by message id and unique key."""

    accounts: Accounts
    outlook: Callable[[], Outlook]
    publisher: Publisher
    withdraw: Withdraw
    store: Store
    runs: Runs
    clock: Clock
    _sending: set[str] = field(default_factory=set)

    def start(self, batch: Batch, *, raise_if_not_leading: Callable[[], None]) -> Batch:
        """Send one message for each account of the batch, or go on where sending stopped.

        All share one `fresh_after`, so that accounts of one association share the provider's
        answers. Ends early once the batch is to be cancelled. Raises InvalidRequest for an
        unknown preset, and StoreUnavailable.
        """
        known = self.store.find_or_none(batch.id)
        if known is not None and known.state in ENDED:
            return known
        self._sending.add(batch.id)
        try:
            return self._send_all(known or batch, raise_if_not_leading)
        finally:
            self._sending.remove(batch.id)

    def is_sending(self, batch_id: str) -> bool:
        """Whether this process sends it at this moment."""
        return batch_id in self._sending

    def cancel(self, cancellation: Cancellation) -> Batch | None:
        """Take back what waits of a batch that is to be cancelled; what runs goes on.

        None while this process still sends it, which ends with its next chunk. A message
        stays while somebody else counts on it, too: it ends with the last batch that does.
        Repeatable.
        """
        batch = self.store.find_or_none(cancellation.batch_id)
        if batch is None or self.is_sending(batch.id):
            return None
        if batch.state in (BatchState.CANCELLED, BatchState.FAILED):
            return batch
        kept = self._take_back(batch, cancellation.by)
        counts = self.runs.count_by_state(batch.id)
        batch = msgspec.structs.replace(
            batch,
            state=BatchState.CANCELLED,
            sent=sum(counts.values()) + batch.coalesced,
            withdrawn=counts.get(RunState.CANCELLED, 0),
        )
        batch = msgspec.structs.replace(batch, message=_say(batch, counts, kept, cancellation.by))
        self.store.save(batch)
        log.info("batch_cancelled", extra={"batch_id": batch.id, "reason": batch.message})
        return batch

    def running(self, entry_id: str, *, besides: str) -> Batch | None:
        """The entry's last batch, if it is another one and still has runs to do."""
        last = self.store.latest(entry_id)
        if last is None or last.id == besides or last.state in (BatchState.CANCELLED, BatchState.FAILED):
            return None
        now = self.clock.now()
        if (now - last.starts_at).total_seconds() > max(MAX_BATCH_AGE_S, 2 * last.spread_s):
            return None
        is_sent = last.state is BatchState.SENT
        is_finished = is_sent and progress(last, self.runs.count_by_state(last.id), now).is_finished
        return None if is_finished else last

    def _send_all(self, batch: Batch, raise_if_not_leading: Callable[[], None]) -> Batch:
        line = self.store.line(batch.id)
        # Any message of the chunk in which sending stopped may be sent, and its run done.
        begun = self.runs.account_ids(batch.id) if line is not None else ()
        if line is None:
            line = choose(batch, list(self.accounts()), self.outlook())
            self.store.save_line(batch.id, line)
        batch = msgspec.structs.replace(batch, state=BatchState.SENDING, total=len(line))
        self.store.save(batch)
        while batch.sent < batch.total:
            raise_if_not_leading()
            if self.store.is_to_be_cancelled(batch.id):
                return batch
            batch = self._send(batch, line[batch.sent : batch.sent + CHUNK], begun)
        message = None if line else "no account is left by its filters"
        batch = msgspec.structs.replace(batch, state=BatchState.SENT, message=message)
        self.store.save(batch)
        fields = {"batch_id": batch.id, "total": batch.total, "coalesced": batch.coalesced}
        log.info("batch_sent", extra=fields)
        return batch

    def _send(self, batch: Batch, chunk: Sequence[Chosen], begun: Collection[int]) -> Batch:
        step_s = batch.spread_s / batch.total
        lead_s = (batch.starts_at - self.clock.now()).total_seconds()
        # What waits to be due keeps its order by that alone.
        if lead_s > 0:
            step_s = max(step_s, APART_S)
        places = [
            (place * step_s, chosen)
            for place, chosen in enumerate(chunk, start=batch.sent)
            if chosen.account_id not in begun
        ]
        receipts = self.publisher.send_many(
            [_request(batch, chosen, after_s=after_s) for after_s, chosen in places],
            delays_s=[max(lead_s + after_s, 0.0) for after_s, _ in places],
            message_ids=[run_id(batch.id, chosen.account_id) for _, chosen in places],
            requested_by=batch.requested_by,
        )
        met = sum(receipt.is_coalesced for receipt in receipts)
        batch = msgspec.structs.replace(batch, sent=batch.sent + len(chunk), coalesced=batch.coalesced + met)
        self.store.save(batch)
        return batch

    def _take_back(self, batch: Batch, by: str) -> int:
        """Answers how many messages stay, because others count on them."""
        line, kept = self.store.line(batch.id) or (), 0
        for start in range(0, len(line), CHUNK):
            chunk = line[start : start + CHUNK]
            messages = [_request(batch, chosen, after_s=0).message for chosen in chunk]
            run_ids = [run_id(batch.id, chosen.account_id) for chosen in chunk]
            requests = [
                (str(uuid.UUID(identifier)), str(message.unique_key))
                for identifier, message in zip(run_ids, messages, strict=True)
            ]
            answers = self.withdraw(SyncClub.queue_name, str(messages[0].fair_key), requests)
            kept += sum(answer.became is Withdrawn.SHARED for answer in answers)
            # A run whose message is gone was withdrawn before a crash, or begins this moment: then it
            # finds itself cancelled, or its own record overwrites this one.
            taken = zip(run_ids, answers, strict=True)
            own = [identifier for identifier, answer in taken if answer.became is not Withdrawn.SHARED]
            now = self.clock.now()
            self.runs.cancel(own, at=now, message=f"the batch was cancelled by {by}")
            deleted = {answer.run_id for answer in answers if answer.run_id is not None}
            self.runs.cancel(
                sorted(deleted.difference(own)),
                at=now,
                message=f"every batch that asked for it was cancelled, the last one by {by}",
            )
        return kept


def run_id(batch_id: str, account_id: int) -> str:
    """The id of an account's run in a batch; as a UUID also that of its message."""
    return uuid.uuid5(uuid.UUID(batch_id), str(account_id)).hex


def _request(batch: Batch, chosen: Chosen, *, after_s: float) -> Request:
    kind: type[AccountSync] = SyncClub if chosen.is_club else SyncAssociation
    message = kind(
        account_id=chosen.account_id,
        preset=batch.preset,
        dry_run=batch.dry_run,
        batch_id=batch.id,
        run_id=run_id(batch.id, chosen.account_id),
        # Deferrals are bounded by the age of a request, so it begins when the message is due.
        requested_at=batch.starts_at + timedelta(seconds=after_s),
        fresh_after=batch.starts_at,
    )
    return Request(message, Priority(batch.priority))


def _say(batch: Batch, counts: Mapping[RunState, int], kept: int, by: str) -> str:
    parts = [f"{batch.withdrawn} withdrawn"]
    if unsent := batch.total - batch.sent:
        parts.append(f"{unsent} not sent yet")
    if running := counts.get(RunState.RUNNING, 0):
        parts.append(f"{running} running go on")
    if kept:
        parts.append(f"{kept} stay, because somebody else asked for them")
    return f"cancelled by {by}: {', '.join(parts)}"
