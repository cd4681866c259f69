"""Batches: what was asked for, how far sending is, and how to find the latest of an entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec
import redis

from stores.redis.errors import answering
from sync.errors import InvalidRequest, NotFound
from sync.report import RunState

# Longer than anybody asks how a night went.
KEPT_S = 30 * 24 * 3600


class BatchState(StrEnum):
    """asked -> sending -> sent | failed; cancelled from any of the first three."""

    ASKED = "asked"
    SENDING = "sending"
    SENT = "sent"
    CANCELLED = "cancelled"
    FAILED = "failed"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Many accounts, synced under one preset over a window of `spread_s` from `starts_at` on.

    Empty `types`, `tags` and `plans` take all accounts; `older_than_s` those that were not
    synced for so long, `is_due` those past their freshness target, `is_near_match` those with
    a match about now; `budget_s` bounds what it may take of each provider's quota, in seconds
    of it. `total` accounts were
    chosen; of `sent` messages `coalesced` met a sync that waited or ran already and have no
    run of their own. Of a cancelled one `withdrawn` messages were taken back. `id` is a UUID
    in hex.
    """

    id: str
    starts_at: datetime
    requested_by: str
    entry_id: str | None = None
    preset: str = "full"
    priority: str = "low"
    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    plans: tuple[str, ...] = ()
    provider: str | None = None
    older_than_s: float | None = None
    is_due: bool = False
    is_near_match: bool = False
    budget_s: float | None = None
    spread_s: float = 0.0
    dry_run: bool = False
    state: BatchState = BatchState.ASKED
    total: int = 0
    sent: int = 0
    coalesced: int = 0
    withdrawn: int = 0
    message: str | None = None


class Chosen(msgspec.Struct, frozen=True, array_like=True):
    """An account of a batch, as its place in the line was fixed before the first message was sent."""

    account_id: int
    is_club: bool


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody takes a batch back: what waits is withdrawn, what runs ends by itself."""

    batch_id: str
    by: str
    at: datetime


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the runs of a batch are; `eta_s` is None until it can be told."""

    total: int
    finished: int
    succeeded: int
    partial: int
    failed: int
    cancelled: int
    running: int
    coalesced: int
    eta_s: float | None

    @property
    def is_finished(self) -> bool:
        return self.finished >= self.total

    @property
    def summary(self) -> str:
        """What came of it so far, in a few words."""
        words = ("succeeded", "partial", "failed", "cancelled", "running", "coalesced")
        counts = [f"{count} {word}" for word in words if (count := getattr(self, word))]
        return ", ".join([f"{self.finished} of {self.total} done", *counts])


def progress(batch: Batch, counts: Mapping[RunState, int], now: datetime) -> Progress:
    """From the states of the batch's runs (`stores.sql.runs.Runs.count_by_state`)."""
    unsent = batch.total - batch.sent if batch.state is BatchState.CANCELLED else 0
    finished = sum(count for state, count in counts.items() if state.is_final) + batch.coalesced + unsent
    elapsed_s = (now - batch.starts_at).total_seconds()
    left = max(batch.total - finished, 0)
    is_chosen = batch.state is not BatchState.ASKED
    eta_s: float | None = 0.0 if is_chosen and left == 0 else None
    # What was cancelled took no time, and says nothing about the others.
    ended = sum(counts.get(state, 0) for state in (RunState.SUCCEEDED, RunState.PARTIAL, RunState.FAILED))
    if left and ended and elapsed_s > 0:
        by_rate_s = elapsed_s * left / ended
        eta_s = max(by_rate_s, batch.spread_s - elapsed_s)
    return Progress(
        total=batch.total,
        finished=finished,
        succeeded=counts.get(RunState.SUCCEEDED, 0),
        partial=counts.get(RunState.PARTIAL, 0),
        failed=counts.get(RunState.FAILED, 0),
        cancelled=counts.get(RunState.CANCELLED, 0) + unsent,
        running=counts.get(RunState.RUNNING, 0),
        coalesced=batch.coalesced,
        eta_s=eta_s,
    )


def raise_if_over(batch: Batch, so_far: Progress) -> None:
    """Raises InvalidRequest when there is nothing left of the batch to cancel."""
    is_done = batch.state is BatchState.SENT and so_far.is_finished
    if is_done or batch.state in (BatchState.CANCELLED, BatchState.FAILED):
        raise InvalidRequest(f"batch {batch.id} is over already: {batch.message or so_far.summary}")


class Batches:
    """Asked for by anybody through `ask`, carried out by the leading scheduler. Raises StoreUnavailable."""

    def __init__(self, client: redis.Redis, namespace: str) -> None:
        self._client = client
        prefix = f"{{{namespace}}}:batches"
        self._prefix = f"{prefix}:"
        self._index = f"{prefix}:index"
        self._latest = f"{prefix}:latest"
        self._asked = f"{prefix}:asked"
        self._cancelled = f"{prefix}:cancelled"
        self._sending = f"{prefix}:sending"

    def ask(self, batch: Batch) -> None:
        """Leave a batch for the leader, who starts it within about a second; repeatable by its id."""
        with answering(), self._client.pipeline() as pipeline:
            self._put(pipeline, batch)
            pipeline.sadd(self._asked, batch.id)
            pipeline.execute()

    def asked(self) -> Sequence[Batch]:
        """Batches that were asked for and not carried out yet, the earliest first."""
        return self._members(self._asked)

    def answer(self, batch_id: str) -> None:
        """Take a batch off the list once it is carried out."""
        with answering():
            self._client.srem(self._asked, batch_id)

    def sending(self) -> Sequence[Batch]:
        """Those of which some messages may not be sent yet, the earliest first."""
        return self._members(self._sending)

    def ask_to_cancel(self, cancellation: Cancellation) -> None:
        """Leave it for the leader, who acts within about a second; repeatable."""
        with answering():
            self._client.hsetnx(self._cancelled, cancellation.batch_id, msgspec.json.encode(cancellation))

    def cancellations(self) -> Sequence[Cancellation]:
        """What was asked for and not carried out yet."""
        with answering():
            values: Any = self._client.hvals(self._cancelled)
        return [msgspec.json.decode(value, type=Cancellation) for value in values]

    def is_to_be_cancelled(self, batch_id: str) -> bool:
        with answering():
            return bool(self._client.hexists(self._cancelled, batch_id))

    def answer_cancellation(self, batch_id: str) -> None:
        """Take it off the list once it is carried out."""
        with answering():
            self._client.hdel(self._cancelled, batch_id)

    def save_line(self, batch_id: str, line: Sequence[Chosen]) -> None:
        """Keep which accounts the batch has, in the order in which they are sent."""
        with answering():
            self._client.set(f"{self._prefix}{batch_id}:line", msgspec.msgpack.encode(line), ex=KEPT_S)

    def line(self, batch_id: str) -> Sequence[Chosen] | None:
        """None before it was saved."""
        with answering():
            value: Any = self._client.get(f"{self._prefix}{batch_id}:line")
        return msgspec.msgpack.decode(value, type=list[Chosen]) if value is not None else None

    def save(self, batch: Batch) -> None:
        with answering(), self._client.pipeline() as pipeline:
            self._put(pipeline, batch)
            pipeline.execute()

    def find(self, batch_id: str) -> Batch:
        """Raises NotFound."""
        if (batch := self._read(batch_id)) is None:
            raise NotFound(f"batch {batch_id} does not exist")
        return batch

    def find_or_none(self, batch_id: str) -> Batch | None:
        return self._read(batch_id)

    def size_of(self, batch_id: str) -> int:
        """How many accounts it has; 0 for one that is forgotten."""
        batch = self._read(batch_id)
        return batch.total if batch else 0

    def latest(self, entry_id: str) -> Batch | None:
        """The last batch of a schedule entry."""
        with answering():
            batch_id: Any = self._client.hget(self._latest, entry_id)
        return self._read(batch_id.decode()) if batch_id else None

    def list(self, limit: int = 50) -> Sequence[Batch]:
        """Newest first."""
        with answering():
            ids: Any = self._client.zrevrange(self._index, 0, limit - 1)
        return [batch for batch_id in ids if (batch := self._read(batch_id.decode())) is not None]

    def _put(self, pipeline: Any, batch: Batch) -> None:
        pipeline.set(self._prefix + batch.id, msgspec.json.encode(batch), ex=KEPT_S)
        pipeline.zadd(self._index, {batch.id: batch.starts_at.timestamp()})
        pipeline.zremrangebyscore(self._index, 0, batch.starts_at.timestamp() - KEPT_S)
        if batch.state is BatchState.SENDING:
            pipeline.sadd(self._sending, batch.id)
        else:
            pipeline.srem(self._sending, batch.id)
        if batch.entry_id is not None:
            pipeline.hset(self._latest, batch.entry_id, batch.id)

    def _members(self, key: str) -> Sequence[Batch]:
        """The batches of a set of ids, the earliest first."""
        with answering():
            members: Any = self._client.smembers(key)
        found = [self._read(member.decode()) for member in members]
        return sorted((batch for batch in found if batch), key=lambda batch: batch.starts_at)

    def _read(self, batch_id: str) -> Batch | None:
        with answering():
            value: Any = self._client.get(self._prefix + batch_id)
        return msgspec.json.decode(value, type=Batch) if value is not None else None
