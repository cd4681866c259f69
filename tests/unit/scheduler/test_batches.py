from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import pytest

from brokers.messages import AccountSync, Request, SyncAssociation, SyncClub
from brokers.queues import Priority
from brokers.states import Withdrawal, Withdrawn
from scheduler.batches import CHUNK, Batches, run_id
from scheduler.leader import NotLeading
from scheduler.outlook import Outlook
from stores.redis.batches import Batch, BatchState, Cancellation, Chosen, progress
from sync.model import Account, Organisation, OrganisationKind
from sync.report import RunState
from tests.unit.scheduler.fakes import START, FakeClock

BATCH_ID = "0123456789abcdef0123456789abcdef"


def account(number: int, kind: OrganisationKind = OrganisationKind.CLUB, *tags: str) -> Account:
    organisation = Organisation(id=f"o{number}", kind=kind, provider="playhq")
    return Account(id=number, name=f"account {number}", organisation=organisation, tags=tags)


@dataclass(frozen=True)
class FakeReceipt:
    run_id: str | None
    is_coalesced: bool = False


class FakeOutside:
    """The queue and the run records: a run is recorded when its message is taken."""

    def __init__(self) -> None:
        self.sent: list[tuple[Request, float]] = []
        self.busy: set[int] = set()
        self.shared: set[int] = set()
        self.batches: dict[str, Batch] = {}
        self.lines: dict[str, Sequence[Chosen]] = {}
        self.to_cancel: set[str] = set()
        self.runs: dict[int, RunState] = {}
        self.waiting: dict[str, int] = {}
        self.synced_at: dict[int, datetime] = {}

    def send_many(
        self,
        requests: Sequence[Request],
        *,
        delays_s: Iterable[float],
        message_ids: Iterable[str | None],
        requested_by: str | None,
    ) -> Sequence[FakeReceipt]:
        receipts = []
        for request, delay_s, message_id in zip(requests, delays_s, message_ids, strict=True):
            assert isinstance(request.message, AccountSync)
            assert message_id is not None
            if request.message.account_id in self.busy:
                receipts.append(FakeReceipt("another", is_coalesced=True))
                continue
            receipts.append(FakeReceipt(request.message.run_id))
            if message_id in self.waiting:
                continue
            self.sent.append((request, delay_s))
            self.waiting[message_id] = request.message.account_id
            self.runs[request.message.account_id] = RunState.QUEUED
        return receipts

    def withdraw(
        self, queue: str, fair_key: str, requests: Sequence[tuple[str, str]]
    ) -> Sequence[Withdrawal]:
        assert (queue, fair_key) == ("syncs", f"batch:{BATCH_ID}")
        return [Withdrawal(self._withdraw(message_id.replace("-", ""))) for message_id, _ in requests]

    def _withdraw(self, message_id: str) -> Withdrawn:
        account_id = self.waiting.get(message_id)
        if account_id is None or self.runs[account_id] is not RunState.QUEUED:
            return Withdrawn.GONE
        if account_id in self.shared:
            return Withdrawn.SHARED
        del self.waiting[message_id]
        return Withdrawn.DELETED

    def cancel(self, run_ids: Sequence[str], *, at: datetime, message: str) -> int:
        mine = {run_id(BATCH_ID, account_id): account_id for account_id in self.runs}
        for identifier in run_ids:
            account_id = mine.get(identifier)
            if account_id is not None and self.runs[account_id] is RunState.QUEUED:
                self.runs[account_id] = RunState.CANCELLED
        return 0

    def outlook(self) -> Outlook:
        return Outlook(synced_at=self.synced_at)

    def save_line(self, batch_id: str, line: Sequence[Chosen]) -> None:
        self.lines[batch_id] = line

    def line(self, batch_id: str) -> Sequence[Chosen] | None:
        return self.lines.get(batch_id)

    def is_to_be_cancelled(self, batch_id: str) -> bool:
        return batch_id in self.to_cancel

    def account_ids(self, batch_id: str) -> Collection[int]:
        return set(self.runs)

    def count_by_state(self, batch_id: str) -> Mapping[RunState, int]:
        states = list(self.runs.values())
        return {state: states.count(state) for state in set(states)}

    def save(self, batch: Batch) -> None:
        self.batches[batch.id] = batch

    def find_or_none(self, batch_id: str) -> Batch | None:
        return self.batches.get(batch_id)

    def latest(self, entry_id: str) -> Batch | None:
        return next((batch for batch in self.batches.values() if batch.entry_id == entry_id), None)


@pytest.fixture
def outside() -> FakeOutside:
    return FakeOutside()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def batches(outside: FakeOutside, clock: FakeClock, accounts: list[Account]) -> Batches:
    return Batches(
        accounts=lambda: accounts,
        outlook=outside.outlook,
        publisher=outside,
        withdraw=outside.withdraw,
        store=outside,
        runs=outside,
        clock=clock,
    )


def lead() -> None:
    """This scheduler leads."""


def order(**fields: object) -> Batch:
    return Batch(**{"id": BATCH_ID, "starts_at": START, "requested_by": "me", **fields})  # type: ignore[arg-type]


def test_each_account_gets_the_message_of_its_kind_spread_evenly_over_the_window(
    outside: FakeOutside, clock: FakeClock
) -> None:
    accounts = [account(1), account(2, OrganisationKind.ASSOCIATION), account(3), account(4)]
    sent = batches(outside, clock, accounts).start(
        order(spread_s=100.0, preset="quick"), raise_if_not_leading=lead
    )
    assert (sent.state, sent.total, sent.sent) == (BatchState.SENT, 4, 4)
    assert [delay_s for _, delay_s in outside.sent] == [0.0, 25.0, 50.0, 75.0]
    kinds = {request.message.account_id: type(request.message) for request, _ in outside.sent}  # type: ignore[attr-defined]
    assert kinds == {1: SyncClub, 2: SyncAssociation, 3: SyncClub, 4: SyncClub}
    for request, delay_s in outside.sent:
        assert isinstance(request.message, AccountSync)
        assert request.priority is Priority.LOW
        assert request.message.preset == "quick"
        assert request.message.fresh_after == START
        assert request.message.requested_at == START + timedelta(seconds=delay_s)


def test_a_batch_that_was_sent_ahead_starts_when_it_is_due(outside: FakeOutside, clock: FakeClock) -> None:
    batches(outside, clock, [account(1)]).start(
        order(starts_at=START + timedelta(seconds=8)), raise_if_not_leading=lead
    )
    assert [delay_s for _, delay_s in outside.sent] == [8.0]


@pytest.mark.parametrize(
    ("fields", "chosen"),
    [
        ({}, {1, 2, 3}),
        ({"types": ("club",)}, {1, 3}),
        ({"tags": ("vip", "new")}, {2, 3}),
        ({"types": ("club",), "tags": ("vip",)}, {3}),
        ({"provider": "playcricket"}, set()),
    ],
)
def test_a_filter_chooses_by_type_tag_and_provider(
    outside: FakeOutside, clock: FakeClock, fields: dict[str, object], chosen: set[int]
) -> None:
    accounts = [
        account(1),
        account(2, OrganisationKind.ASSOCIATION, "new"),
        account(3, OrganisationKind.CLUB, "vip"),
    ]
    batches(outside, clock, accounts).start(order(**fields), raise_if_not_leading=lead)
    assert set(outside.runs) == chosen


def test_a_batch_goes_on_where_a_lost_lead_stopped_it(outside: FakeOutside, clock: FakeClock) -> None:
    accounts = [account(number) for number in range(1, 2 * CHUNK + 1)]
    answers = iter([True, False])

    def lose_after_one_chunk() -> None:
        if not next(answers):
            raise NotLeading

    with pytest.raises(NotLeading):
        batches(outside, clock, accounts).start(order(), raise_if_not_leading=lose_after_one_chunk)
    assert len(outside.sent) == CHUNK
    clock.advance(5)
    done = batches(outside, clock, accounts).start(order(), raise_if_not_leading=lead)
    assert (done.sent, done.total) == (2 * CHUNK, 2 * CHUNK)
    run_ids = [request.message.run_id for request, _ in outside.sent]  # type: ignore[attr-defined]
    assert len(set(run_ids)) == len(run_ids) == 2 * CHUNK
    assert run_ids[0] in {run_id(BATCH_ID, number) for number in range(1, 2 * CHUNK + 1)}


def test_a_sent_batch_is_not_sent_again(outside: FakeOutside, clock: FakeClock) -> None:
    for _ in range(2):
        batches(outside, clock, [account(1)]).start(order(), raise_if_not_leading=lead)
    assert len(outside.sent) == 1


def test_a_batch_keeps_its_line_however_the_accounts_change_meanwhile(
    outside: FakeOutside, clock: FakeClock
) -> None:
    accounts = [account(number) for number in range(1, CHUNK + 11)]
    answers = iter([True, False])

    def lose_after_one_chunk() -> None:
        if not next(answers):
            raise NotLeading

    with pytest.raises(NotLeading):
        batches(outside, clock, accounts).start(order(is_due=True), raise_if_not_leading=lose_after_one_chunk)
    outside.synced_at = dict.fromkeys(range(1, CHUNK + 11), START)  # none is due any more
    done = batches(outside, clock, accounts[:-1]).start(order(is_due=True), raise_if_not_leading=lead)
    assert (done.state, done.total, len(outside.sent)) == (BatchState.SENT, CHUNK + 10, CHUNK + 10)


def test_a_message_whose_record_was_lost_in_a_crash_is_recorded_and_not_sent_twice(
    outside: FakeOutside, clock: FakeClock
) -> None:
    accounts = [account(number) for number in range(1, 6)]
    whole = batches(outside, clock, accounts).start(order(), raise_if_not_leading=lead)
    # As if the process had died after the messages and some of the records.
    outside.batches[BATCH_ID] = msgspec.structs.replace(whole, state=BatchState.SENDING, sent=0)
    outside.runs = {2: RunState.SUCCEEDED, 4: RunState.QUEUED}
    done = batches(outside, clock, accounts).start(order(), raise_if_not_leading=lead)
    assert (done.state, done.sent) == (BatchState.SENT, 5)
    assert len(outside.sent) == 5


def test_a_cancelled_batch_takes_back_what_waits_and_says_what_goes_on(
    outside: FakeOutside, clock: FakeClock
) -> None:
    sender = batches(outside, clock, [account(number) for number in range(1, 8)])
    sender.start(order(spread_s=60), raise_if_not_leading=lead)
    outside.runs |= {1: RunState.SUCCEEDED, 2: RunState.RUNNING}
    outside.shared = {3}
    cancelled = sender.cancel(Cancellation(batch_id=BATCH_ID, by="ann", at=START))
    assert cancelled is not None
    assert (cancelled.state, cancelled.withdrawn) == (BatchState.CANCELLED, 4)
    assert cancelled.message == (
        "cancelled by ann: 4 withdrawn, 1 running go on, 1 stay, because somebody else asked for them"
    )
    assert outside.runs[3] is RunState.QUEUED
    state = progress(cancelled, outside.count_by_state(BATCH_ID), START)
    assert (state.finished, state.cancelled, state.running) == (5, 4, 1)


def test_a_batch_that_is_cancelled_while_it_is_sent_sends_no_further_chunk(
    outside: FakeOutside, clock: FakeClock
) -> None:
    accounts = [account(number) for number in range(1, 3 * CHUNK + 1)]
    sender = batches(outside, clock, accounts)
    cancellation = Cancellation(batch_id=BATCH_ID, by="ann", at=START)

    def cancel_after_one_chunk() -> None:
        if outside.sent:
            outside.to_cancel.add(BATCH_ID)
            assert sender.cancel(cancellation) is None  # the sender must stop first

    sender.start(order(), raise_if_not_leading=cancel_after_one_chunk)
    assert len(outside.sent) == CHUNK
    cancelled = sender.cancel(cancellation)
    assert cancelled is not None
    assert cancelled.message == f"cancelled by ann: {CHUNK} withdrawn, {2 * CHUNK} not sent yet"
    assert progress(cancelled, outside.count_by_state(BATCH_ID), START).is_finished
    assert sender.start(order(), raise_if_not_leading=lead).state is BatchState.CANCELLED
    assert len(outside.sent) == CHUNK


def test_progress_counts_runs_and_accounts_that_were_busy_already(
    outside: FakeOutside, clock: FakeClock
) -> None:
    outside.busy = {4}
    accounts = [account(number) for number in range(1, 5)]
    batch = batches(outside, clock, accounts).start(order(), raise_if_not_leading=lead)
    outside.runs |= {1: RunState.SUCCEEDED, 2: RunState.FAILED, 3: RunState.RUNNING}
    now = START + timedelta(seconds=20)
    state = progress(batch, outside.count_by_state(BATCH_ID), now)
    assert (state.total, state.finished, state.coalesced, state.failed, state.running) == (4, 3, 1, 1, 1)
    assert state.eta_s == 10.0
    assert not state.is_finished
    outside.runs[3] = RunState.PARTIAL
    assert progress(batch, outside.count_by_state(BATCH_ID), now).is_finished


def test_the_time_left_is_not_told_before_accounts_are_chosen_nor_by_what_was_cancelled() -> None:
    now = START + timedelta(seconds=20)
    assert progress(order(), {}, now).eta_s is None
    cancelled = order(state=BatchState.CANCELLED, total=10, sent=10)
    counts = {RunState.CANCELLED: 8, RunState.RUNNING: 2}
    assert progress(cancelled, counts, now).eta_s is None
    counts = {RunState.CANCELLED: 7, RunState.RUNNING: 2, RunState.FAILED: 1}
    assert progress(cancelled, counts, now).eta_s == 40.0


def test_a_batch_of_no_account_says_so(outside: FakeOutside, clock: FakeClock) -> None:
    batch = batches(outside, clock, [account(1)]).start(order(tags=("none",)), raise_if_not_leading=lead)
    assert (batch.state, batch.message) == (BatchState.SENT, "no account is left by its filters")


def test_an_entry_is_busy_until_its_last_batch_is_done(outside: FakeOutside, clock: FakeClock) -> None:
    batch = batches(outside, clock, [account(1)])
    assert not batch.running("nightly", besides="x")
    batch.start(order(entry_id="nightly"), raise_if_not_leading=lead)
    assert batch.running("nightly", besides="x")
    assert not batch.running("nightly", besides=BATCH_ID)
    outside.runs[1] = RunState.SUCCEEDED
    assert not batch.running("nightly", besides="x")


def test_a_batch_that_hangs_does_not_stop_the_next_night(outside: FakeOutside, clock: FakeClock) -> None:
    batch = batches(outside, clock, [account(1)])
    batch.start(order(entry_id="nightly"), raise_if_not_leading=lead)
    clock.advance(24 * 3600 - 10)  # the next tick is sent a little ahead
    assert not batch.running("nightly", besides="x")
