from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.schedule import Entry, due, table
from settings.scheduling import ScheduleEntry, SchedulerSettings

SYDNEY = ZoneInfo("Australia/Sydney")
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def entry(name: str = "nightly", **settings: Any) -> Entry:
    return Entry(name, ScheduleEntry.model_validate({"zone": "Australia/Sydney", **settings}))


def local_ticks(cron: str, start: str, days: int, zone: str = "Australia/Sydney") -> list[str]:
    after = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    ticks = entry(cron=cron, zone=zone).ticks(after, after + timedelta(days=days))
    return [tick.at.astimezone(ZoneInfo(zone)).strftime("%a %d %H:%M") for tick in ticks]


def test_a_cron_follows_the_wall_clock_of_its_zone() -> None:
    assert local_ticks("0 1 * * *", "2026-11-23 00:00", 2) == ["Mon 23 01:00", "Tue 24 01:00"]


def test_a_time_that_the_clocks_skip_comes_once_after_the_gap() -> None:
    assert local_ticks("30 2 * * *", "2026-10-03 12:00", 3) == [
        "Sun 04 03:30",
        "Mon 05 02:30",
        "Tue 06 02:30",
    ]


def test_a_time_that_comes_twice_when_the_clocks_go_back_is_one_tick() -> None:
    assert local_ticks("30 2 * * *", "2026-04-04 12:00", 2) == ["Sun 05 02:30", "Mon 06 02:30"]


def test_an_hourly_entry_has_every_real_hour_of_the_night_the_clocks_change() -> None:
    for start in ("2026-04-05 00:30", "2026-10-04 00:30"):
        after = datetime.fromisoformat(start).replace(tzinfo=SYDNEY).astimezone(UTC)
        moments = [tick.at for tick in entry(cron="0 * * * *").ticks(after, after + timedelta(hours=6))]
        gaps = {later - earlier for earlier, later in itertools.pairwise(moments)}
        assert (len(moments), gaps) == (6, {timedelta(hours=1)})


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("0", "Sun"),
        ("7", "Sun"),
        ("1", "Mon"),
        ("1-3", "Mon Tue Wed"),
        ("5-7", "Fri Sat Sun"),
        ("sat,sun", "Sat Sun"),
        ("*/3", "Wed Sat Sun"),
        ("mon-fri/2", "Mon Wed Fri"),
        ("*", "Mon Tue Wed Thu Fri Sat Sun"),
    ],
)
def test_numbered_weekdays_start_at_sunday_as_in_cron(field: str, days: str) -> None:
    ticks = local_ticks(f"0 1 * * {field}", "2026-11-22 12:00", 7)
    assert [tick.split()[0] for tick in ticks] == days.split()


def test_two_schedulers_that_started_at_different_times_have_the_same_ticks() -> None:
    every = entry(every_s=7.0, jitter_s=3.0)
    early = list(every.ticks(NOON - timedelta(seconds=100), NOON + timedelta(seconds=60)))
    late = list(entry(every_s=7.0, jitter_s=3.0).ticks(NOON, NOON + timedelta(seconds=60)))
    assert early[-len(late) :] == late
    assert [tick.id for tick in early[-len(late) :]] == [tick.id for tick in late]
    assert len({tick.id for tick in early}) == len(early)


@given(after_s=st.integers(0, 10**6), every_s=st.integers(1, 5000), jitter_s=st.floats(0, 100))
def test_ticks_come_after_the_cursor_in_order_within_their_jitter(
    after_s: int, every_s: int, jitter_s: float
) -> None:
    after = NOON + timedelta(seconds=after_s)
    ticks = list(
        entry(every_s=every_s, jitter_s=jitter_s).ticks(after, after + timedelta(seconds=3 * every_s))
    )
    assert len(ticks) == 3
    assert all(tick.at > after for tick in ticks)
    assert all(timedelta(0) <= tick.due_at - tick.at <= timedelta(seconds=jitter_s + 0.001) for tick in ticks)


def test_ticks_within_reach_are_sent_ahead() -> None:
    work = due(entry(every_s=5.0), NOON, NOON + timedelta(seconds=1), ahead_s=10)
    assert [(tick.at - NOON).total_seconds() for tick in work.send] == [5, 10]


def test_of_late_ticks_only_the_last_is_sent_when_they_coalesce() -> None:
    late = NOON + timedelta(seconds=17)
    work = due(entry(every_s=5.0), NOON, late, ahead_s=0)
    assert [(tick.at - NOON).total_seconds() for tick in work.send] == [15]
    work = due(entry(every_s=5.0, coalesce=False), NOON, late, ahead_s=0)
    assert [(tick.at - NOON).total_seconds() for tick in work.send] == [5, 10, 15]


def test_a_tick_later_than_the_catch_up_window_is_passed_over() -> None:
    nightly = entry(cron="0 1 * * *", catch_up_s=3600)
    slept_from = datetime(2026, 11, 23, 0, 30, tzinfo=SYDNEY)
    work = due(nightly, slept_from, datetime(2026, 11, 23, 1, 59, tzinfo=SYDNEY), ahead_s=0)
    assert len(work.send) == 1
    work = due(nightly, slept_from, datetime(2026, 11, 23, 2, 1, tzinfo=SYDNEY), ahead_s=0)
    assert work.send == ()
    assert work.missed is not None
    assert work.missed.at == datetime(2026, 11, 23, 1, tzinfo=SYDNEY)


def test_a_long_sleep_costs_no_more_than_the_catch_up_window() -> None:
    work = due(entry(every_s=1.0, catch_up_s=60), NOON - timedelta(days=3650), NOON, ahead_s=0)
    assert [NOON - tick.at for tick in work.send] == [timedelta(seconds=1), timedelta(0)]


def test_the_definition_changes_with_the_trigger_alone() -> None:
    first = entry(every_s=5.0)
    assert first.definition == entry(every_s=5.0, preset="quick", spread_s=60).definition
    assert first.definition != entry(every_s=6.0).definition
    assert first.definition != entry(every_s=5.0, except_days="sun").definition


def test_entries_that_the_settings_pause_are_not_in_the_table() -> None:
    entries = {"a": ScheduleEntry(every_s=5), "b": ScheduleEntry(every_s=5, is_paused=True)}
    assert list(table(SchedulerSettings(entries=entries))) == ["a"]
