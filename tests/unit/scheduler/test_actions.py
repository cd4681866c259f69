"""What a tick does that comes late."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from scheduler.actions import Actions
from scheduler.schedule import Entry
from scheduler.ticker import TooLate
from settings.scheduling import ScheduleEntry
from stores.redis.batches import BatchState
from sync.report import RunState
from tests.unit.scheduler.fakes import FakeClock
from tests.unit.scheduler.test_batches import BATCH_ID, FakeOutside, account, batches, lead

HOURLY = Entry("hourly", ScheduleEntry(every_s=3600, catch_up_s=60, overlap="allow"))


def actions(outside: FakeOutside, clock: FakeClock) -> Actions:
    unused: Any = None
    return Actions(
        batches=batches(outside, clock, [account(number) for number in range(1, 4)]),
        publisher=unused,
        note=unused,
        housework={},
        quota_share=lambda: 1.0,
        clock=clock,
    )


def test_a_batch_that_was_not_begun_in_time_is_not_begun() -> None:
    outside, clock = FakeOutside(), FakeClock()
    tick = HOURLY.next_tick(clock.now())
    assert tick is not None
    clock.at = tick.due_at + timedelta(seconds=61)
    with pytest.raises(TooLate, match="later than 60 s"):
        actions(outside, clock)(HOURLY, tick, raise_if_not_leading=lead)
    assert outside.sent == []


def test_a_batch_that_was_begun_goes_on_however_late_it_is() -> None:
    outside, clock = FakeOutside(), FakeClock()
    tick = HOURLY.next_tick(clock.now())
    assert tick is not None
    begin = actions(outside, clock)
    outside.save(begin.planned(HOURLY, tick))
    clock.at = tick.due_at + timedelta(days=1)
    sent = begin(HOURLY, tick, raise_if_not_leading=lead)
    assert len(outside.sent) == 3
    assert sent.batch_id is not None
    assert outside.batches[sent.batch_id].state is BatchState.SENT


def test_a_batch_that_is_taken_back_says_why_and_is_noted() -> None:
    outside, clock = FakeOutside(), FakeClock()
    noted: list[dict[str, Any]] = []
    begin = replace(actions(outside, clock), note=lambda **line: noted.append(line))
    tick = HOURLY.next_tick(clock.now())
    assert tick is not None
    clock.at = tick.due_at - timedelta(seconds=5)
    sender = begin.batches
    planned = msgspec.structs.replace(begin.planned(HOURLY, tick), id=BATCH_ID)
    sender.start(planned, raise_if_not_leading=lead)
    assert begin.take_back(BATCH_ID, "ann paused hourly")
    assert (
        outside.batches[BATCH_ID].message == "cancelled by scheduler, because ann paused hourly: 3 withdrawn"
    )
    assert set(outside.runs.values()) == {RunState.CANCELLED}
    assert [(line["action"], line["subject"]) for line in noted] == [("batch_cancelled", f"batch:{BATCH_ID}")]
