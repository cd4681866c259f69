from __future__ import annotations

import threading

import pytest

from scheduler.leader import Leader, NotLeading
from tests.unit.scheduler.fakes import FakeClock, FakeLeadership


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def leadership(clock: FakeClock) -> FakeLeadership:
    return FakeLeadership(clock)


def leader(owner: str, leadership: FakeLeadership, clock: FakeClock) -> Leader:
    return Leader(leadership, owner, lease_s=3.0, monotonic=clock.monotonic)


def test_one_leads_and_the_other_takes_over_once_the_lease_is_out(
    leadership: FakeLeadership, clock: FakeClock
) -> None:
    first, second = leader("a", leadership, clock), leader("b", leadership, clock)
    first.step()
    second.step()
    assert (first.term, second.term) == (1, None)
    clock.advance(3.1)
    second.step()
    first.step()
    assert (first.term, second.term) == (None, 2)


def test_trust_ends_before_the_lease_does(leadership: FakeLeadership, clock: FakeClock) -> None:
    first = leader("a", leadership, clock)
    first.step()
    clock.advance(2.6)
    assert first.term == 1
    clock.advance(0.2)
    assert clock.monotonic() < leadership.until
    with pytest.raises(NotLeading):
        first.raise_if_not_leading()


def test_without_redis_the_leader_goes_on_until_its_trust_runs_out(
    leadership: FakeLeadership, clock: FakeClock
) -> None:
    first = leader("a", leadership, clock)
    first.step()
    leadership.is_down = True
    clock.advance(1)
    first.step()
    assert first.term == 1
    clock.advance(2)
    first.step()
    assert first.term is None


def test_stopping_lets_the_next_one_lead_at_once(leadership: FakeLeadership, clock: FakeClock) -> None:
    first, second = leader("a", leadership, clock), leader("b", leadership, clock)
    first.step()
    stop = threading.Event()
    stop.set()
    first.run(stop)
    assert first.term is None
    second.step()
    assert second.term == 2
