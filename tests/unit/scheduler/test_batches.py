from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import pytest

from brokers.messages import AccountSync, Request, SyncAssociation, SyncClub
from brokers.queues import Priority
from scheduler.batches import CHUNK, Batches, run_id
from scheduler.leader import NotLeading
from stores.redis.batches import Batch, BatchState, progress
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
        self.batches: dict[str, Batch] = {}
        self.runs: dict[int, RunState] = {}

    def send_many(
        self, requests: Sequence[Request], *, delays_s: Iterable[float], requested_by: str | None
    ) -> Sequence[FakeReceipt]:
        receipts = []
        for request, delay_s in zip(requests, delays_s, strict=True):
            assert isinstance(request.message, AccountSync)
            if request.message.account_id in self.busy:
                receipts.append(FakeReceipt("another", is_coalesced=True))
                continue
            self.sent.append((request, delay_s))
            self.runs[request.message.account_id] = RunState.QUEUED
            receipts.append(FakeReceipt(request.message.run_id))
        return receipts

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
    return Batches(lambda: accounts, outside, outside, outside, clock)


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


def test_an_entry_is_busy_until_its_last_batch_is_done(outside: FakeOutside, clock: FakeClock) -> None:
    batch = batches(outside, clock, [account(1)])
    assert not batch.is_busy("nightly", besides="x")
    batch.start(order(entry_id="nightly"), raise_if_not_leading=lead)
    assert batch.is_busy("nightly", besides="x")
    assert not batch.is_busy("nightly", besides=BATCH_ID)
    outside.runs[1] = RunState.SUCCEEDED
    assert not batch.is_busy("nightly", besides="x")


def test_a_batch_that_hangs_does_not_stop_the_next_night(outside: FakeOutside, clock: FakeClock) -> None:
    batch = batches(outside, clock, [account(1)])
    batch.start(order(entry_id="nightly"), raise_if_not_leading=lead)
    clock.advance(24 * 3600 - 10)  # the next tick is sent a little ahead
    assert not batch.is_busy("nightly", besides="x")
