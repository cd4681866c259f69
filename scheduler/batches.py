"""Many accounts at once, their messages spread over a window.

A batch may be started again after a crash: accounts that have a run in it are left out,
and run ids follow from batch and account, so that no account runs twice in it.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Protocol

import msgspec

from brokers.messages import AccountSync, Request, SyncAssociation, SyncClub
from brokers.queues import Priority
from stores.redis.batches import Batch, BatchState, progress
from sync.model import Account, OrganisationKind
from sync.ports import Clock
from sync.report import RunState

log = logging.getLogger(__name__)

# Messages of one round trip; small enough that a lost lead is noticed soon.
CHUNK = 500
# A batch that is older than this hangs. Less than a day: one lost run must not cost the next night.
MAX_BATCH_AGE_S = 12 * 3600.0


class Accounts(Protocol):
    def __call__(self) -> Iterable[Account]:
        """Every account."""
        ...


class Runs(Protocol):
    def account_ids(self, batch_id: str) -> Collection[int]:
        """The accounts that have a run in the batch already."""
        ...

    def count_by_state(self, batch_id: str) -> Mapping[RunState, int]: ...


class Receipt(Protocol):
    @property
    def is_coalesced(self) -> bool: ...

    @property
    def run_id(self) -> str | None: ...


class Publisher(Protocol):
    def send_many(
        self, requests: Sequence[Request], *, delays_s: Iterable[float], requested_by: str | None
    ) -> Sequence[Receipt]: ...


class Store(Protocol):
    def save(self, batch: Batch) -> None: ...

    def find_or_none(self, batch_id: str) -> Batch | None: ...

    def latest(self, entry_id: str) -> Batch | None: ...


class Batches:
    def __init__(
        self, accounts: Accounts, publisher: Publisher, store: Store, runs: Runs, clock: Clock
    ) -> None:
        self._accounts = accounts
        self._publisher = publisher
        self._store = store
        self._runs = runs
        self._clock = clock

    def start(self, batch: Batch, *, raise_if_not_leading: Callable[[], None]) -> Batch:
        """Send one message for each account of the batch, or go on where sending stopped.

        All share one `fresh_after`, so that accounts of one association share the provider's
        answers. Raises InvalidRequest for an unknown preset, and StoreUnavailable.
        """
        known = self._store.find_or_none(batch.id)
        if known is not None and known.state in (BatchState.SENT, BatchState.CANCELLED):
            return known
        accounts = _in_turn(batch, [account for account in self._accounts() if _is_wanted(batch, account)])
        done: Collection[int] = self._runs.account_ids(batch.id) if known is not None else ()
        batch = msgspec.structs.replace(
            batch,
            state=BatchState.SENDING,
            total=len(accounts),
            sent=len(done),
            coalesced=0,
        )
        self._store.save(batch)
        step_s = batch.spread_s / max(len(accounts), 1)
        places = [(place, account) for place, account in enumerate(accounts) if account.id not in done]
        for chunk in _chunks(places):
            raise_if_not_leading()
            batch = self._send(batch, chunk, step_s)
        batch = msgspec.structs.replace(batch, state=BatchState.SENT)
        self._store.save(batch)
        fields = {"batch_id": batch.id, "total": batch.total, "coalesced": batch.coalesced}
        log.info("batch_sent", extra=fields)
        return batch

    def is_busy(self, entry_id: str, *, besides: str) -> bool:
        """Whether the entry's last batch, if it is another one, still has runs to do."""
        last = self._store.latest(entry_id)
        if last is None or last.id == besides or last.state is BatchState.CANCELLED:
            return False
        now = self._clock.now()
        if (now - last.starts_at).total_seconds() > max(MAX_BATCH_AGE_S, 2 * last.spread_s):
            return False
        return not progress(last, self._runs.count_by_state(last.id), now).is_finished

    def _send(self, batch: Batch, chunk: Sequence[tuple[int, Account]], step_s: float) -> Batch:
        lead_s = (batch.starts_at - self._clock.now()).total_seconds()
        requests = [_request(batch, account, after_s=place * step_s) for place, account in chunk]
        delays_s = [max(lead_s + place * step_s, 0.0) for place, _ in chunk]
        receipts = self._publisher.send_many(requests, delays_s=delays_s, requested_by=batch.requested_by)
        met = sum(
            receipt.is_coalesced and receipt.run_id != run_id(batch.id, account.id)
            for receipt, (_, account) in zip(receipts, chunk, strict=True)
        )
        batch = msgspec.structs.replace(batch, sent=batch.sent + len(chunk), coalesced=batch.coalesced + met)
        self._store.save(batch)
        return batch


def run_id(batch_id: str, account_id: int) -> str:
    """The id of an account's run in a batch."""
    return uuid.uuid5(uuid.UUID(batch_id), str(account_id)).hex


def _is_wanted(batch: Batch, account: Account) -> bool:
    return (
        (not batch.types or account.organisation.kind.value in batch.types)
        and (not batch.tags or not set(batch.tags).isdisjoint(account.tags))
        and batch.provider in (None, account.organisation.provider)
    )


def _in_turn(batch: Batch, accounts: list[Account]) -> list[Account]:
    # Shuffled by the batch's id: no account is always the last, and a restart finds the same order.
    return sorted(accounts, key=lambda account: hashlib.sha256(f"{batch.id}{account.id}".encode()).digest())


def _request(batch: Batch, account: Account, *, after_s: float) -> Request:
    is_club = account.organisation.kind is OrganisationKind.CLUB
    kind: type[AccountSync] = SyncClub if is_club else SyncAssociation
    message = kind(
        account_id=account.id,
        preset=batch.preset,
        dry_run=batch.dry_run,
        batch_id=batch.id,
        run_id=run_id(batch.id, account.id),
        # Deferrals are bounded by the age of a request, so it begins when the message is due.
        requested_at=batch.starts_at + timedelta(seconds=after_s),
        fresh_after=batch.starts_at,
    )
    return Request(message, Priority(batch.priority))


def _chunks(places: Iterable[tuple[int, Account]]) -> Iterator[list[tuple[int, Account]]]:
    iterator = iter(places)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk
