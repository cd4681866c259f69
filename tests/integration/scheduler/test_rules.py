"""Misfire, catch-up and overlap rules together, against what a person would work out by hand."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st

from scheduler.actions import Actions
from scheduler.leader import Leader
from scheduler.schedule import Entry
from scheduler.ticker import Ticker
from settings.scheduling import ScheduleEntry
from stores.redis.batches import Batch, BatchState, Cancellation
from stores.redis.leadership import Leadership
from stores.redis.schedule import Schedule
from tests.unit.scheduler.fakes import START, FakeClock

EVERY_S = 60
LEASE_S = 3.0
UNTIL_S = 900


@pytest.fixture(scope="module")
def client(redis_url: str) -> Iterator[redis.Redis]:
    """For all examples: each has a namespace of its own."""
    with redis.Redis.from_url(redis_url) as opened:
        yield opened


class Machine:
    """Batches that each run for `lasts_s`, unless they are cancelled; keeps when they began."""

    def __init__(self, clock: FakeClock, lasts_s: float) -> None:
        self._clock = clock
        self._lasts_s = lasts_s
        self._batches: dict[str, Batch] = {}
        self.began_s: list[int] = []
        self.store = SimpleNamespace(find_or_none=self._batches.get)

    def running(self, entry_id: str, *, besides: str) -> Batch | None:
        last = next(reversed(self._batches.values()), None)
        if last is None or last.id == besides or last.state is BatchState.CANCELLED:
            return None
        return last if self._clock.now() < last.starts_at + timedelta(seconds=self._lasts_s) else None

    def start(self, batch: Batch, *, raise_if_not_leading: Callable[[], None]) -> Batch:
        assert batch.id not in self._batches
        # One that waited for its turn starts when it has it.
        starts_at = max(batch.starts_at, self._clock.now())
        self._batches[batch.id] = Batch(id=batch.id, starts_at=starts_at, requested_by="scheduler")
        self.began_s.append(round((starts_at - START).total_seconds()))
        return batch

    def cancel(self, cancellation: Cancellation) -> Batch:
        known = self._batches[cancellation.batch_id]
        cancelled = Batch(
            id=known.id, starts_at=known.starts_at, requested_by="scheduler", state=BatchState.CANCELLED
        )
        self._batches[known.id] = cancelled
        return cancelled


class World:
    """One scheduler and the time, of its own in each example."""

    def __init__(self, client: redis.Redis, entry: ScheduleEntry, lasts_s: float) -> None:
        namespace = f"rules{uuid.uuid4().hex[:12]}"
        self.clock = FakeClock(START)
        self.machine = Machine(self.clock, lasts_s)
        machine: Any = self.machine
        unused: Any = None
        actions = Actions(
            batches=machine,
            publisher=unused,
            note=lambda **_: None,
            housework={},
            quota_share=lambda: 1.0,
            clock=self.clock,
        )
        # The lease is a real one, of which an example takes a tenth.
        self._leader = Leader(Leadership(client, namespace), "me", lease_s=LEASE_S, monotonic=lambda: 0.0)
        self._ticker = Ticker(Schedule(client, namespace), self._leader, actions, self.clock, lambda *_: None)
        self._entry = Entry("checks", entry)

    def live(self, seconds: int) -> None:
        """Sweep each second, as a service does."""
        self._leader.step()
        for _ in range(seconds):
            self._ticker.sweep(self._entry)
            self.clock.advance(1)

    def sleep(self, seconds: int) -> None:
        self.clock.advance(seconds)


def batches_every_minute(**rules: Any) -> ScheduleEntry:
    return ScheduleEntry.model_validate({"every_s": EVERY_S, **rules})


def by_hand(overlap: str, lasts_s: int, catch_up_s: int) -> list[int]:
    """When batches begin, in seconds from the start, while somebody sweeps all the time."""
    began, free_at = [], 0
    for tick in range(EVERY_S, UNTIL_S, EVERY_S):
        turn = tick if overlap == "cancel" else max(tick, free_at)
        if overlap == "skip" and turn > tick:
            continue
        if turn - tick <= catch_up_s:
            began.append(turn)
            free_at = turn + lasts_s
    return [begin for begin in began if begin < UNTIL_S]


@pytest.mark.parametrize("overlap", ["skip", "queue", "cancel"])
@settings(max_examples=20)  # a quarter of an hour each
@given(lasts_s=st.integers(1, 400), catch_up_s=st.integers(0, 400))
def test_batches_begin_when_the_overlap_rule_says_so(
    client: redis.Redis, overlap: str, lasts_s: int, catch_up_s: int
) -> None:
    world = World(
        client,
        batches_every_minute(overlap=overlap, catch_up_s=catch_up_s, coalesce=False),
        lasts_s,
    )
    world.live(UNTIL_S)
    began = [begin for begin in world.machine.began_s if begin < UNTIL_S]
    assert began == by_hand(overlap, lasts_s, catch_up_s)


@given(
    before_s=st.integers(1, 200),
    asleep_s=st.integers(20, 1000),
    catch_up_s=st.integers(0, 1200),
    coalesce=st.booleans(),
)
def test_after_a_sleep_what_is_late_is_made_up_for_within_the_window(
    client: redis.Redis, before_s: int, asleep_s: int, catch_up_s: int, *, coalesce: bool
) -> None:
    rules = batches_every_minute(overlap="allow", catch_up_s=catch_up_s, coalesce=coalesce)
    world = World(client, rules, lasts_s=0)
    ahead_s = round(2 * LEASE_S + 2)
    world.live(before_s)
    # Sent ahead before it fell asleep; its last look was a second ago.
    sent_until_s = before_s - 1 + ahead_s
    world.sleep(asleep_s)
    woke_s = before_s + asleep_s
    world.live(EVERY_S + 1)

    ticks = range(EVERY_S, woke_s + EVERY_S + ahead_s + 1, EVERY_S)
    late = [tick for tick in ticks if sent_until_s < tick < woke_s and tick >= woke_s - catch_up_s]
    made_up = late[-1:] if coalesce else late
    on_time = [tick for tick in ticks if tick <= sent_until_s or tick >= woke_s]
    expected = [tick for tick in on_time if tick < woke_s] + [woke_s] * len(made_up)
    expected += [tick for tick in on_time if tick >= woke_s]
    assert world.machine.began_s == expected
