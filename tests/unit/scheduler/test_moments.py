"""When entries have ticks; each wall-clock trigger is held to a plain table of days and times."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.schedule import Entry
from settings.scheduling import ScheduleEntry

# The last day before the clocks go forward, or back; Lord Howe's move by half an hour, Cairo's at midnight.
CHANGES = [
    ("Australia/Sydney", "2026-10-03"),
    ("Australia/Sydney", "2026-04-04"),
    ("Australia/Lord_Howe", "2026-10-03"),
    ("Australia/Lord_Howe", "2026-04-04"),
    ("Europe/London", "2026-03-28"),
    ("Europe/London", "2026-10-24"),
    ("Africa/Cairo", "2026-04-23"),
    ("Africa/Cairo", "2026-10-29"),
    ("America/Santiago", "2026-09-05"),
]
DAYS = 4


def entry(**settings: Any) -> Entry:
    return Entry("it", ScheduleEntry.model_validate({"zone": "Australia/Sydney", **settings}))


def local(moments: Entry, start: str, days: int, zone: str = "Australia/Sydney") -> list[str]:
    after = datetime.fromisoformat(start).replace(tzinfo=ZoneInfo(zone))
    ticks = moments.ticks(after, after + timedelta(days=days))
    return [tick.at.astimezone(ZoneInfo(zone)).strftime("%a %d %H:%M") for tick in ticks]


@pytest.mark.parametrize(("zone", "day"), CHANGES)
@given(minute=st.sampled_from([0, 15, 30, 45]), hour=st.integers(0, 23), step_min=st.integers(7, 600))
def test_a_daily_time_comes_once_each_day_however_the_clocks_change_and_from_wherever_one_looks(
    zone: str, day: str, minute: int, hour: int, step_min: int
) -> None:
    first = date.fromisoformat(day)
    # Python's own rule: a time that is skipped is that much later, of two the first.
    expected = [
        datetime.combine(first + timedelta(days=n), time(hour, minute), ZoneInfo(zone)).astimezone(UTC)
        for n in range(DAYS)
    ]
    by_cron = entry(cron=f"{minute} {hour} * * *", zone=zone)
    by_calendar = entry(calendar={"days": "mon-sun", "times": f"{hour:02}:{minute:02}"}, zone=zone)
    start, end = expected[0] - timedelta(hours=1), expected[-1]
    for trigger in (by_cron, by_calendar):
        assert [tick.at for tick in trigger.ticks(start, end)] == expected
        found, after = [], start
        while after < end:
            until = min(after + timedelta(minutes=step_min), end)
            found += [tick.at for tick in trigger.ticks(after, until)]
            after = until
        assert found == expected


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_a_cron_of_every_hour_has_every_real_hour(zone: str, day: str) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    moments = [tick.at for tick in entry(cron="0 * * * *", zone=zone).ticks(start, start + timedelta(days=3))]
    is_half_hour = zone == "Australia/Lord_Howe"  # its clocks' hour is once 30 or 90 minutes long
    gaps = {moments[n + 1] - moments[n] for n in range(len(moments) - 1)}
    assert len(moments) in (71, 72, 73)
    assert is_half_hour or gaps == {timedelta(hours=1)}


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        ("sat", ["Sat 07", "Sat 14", "Sat 21", "Sat 28"]),
        ("first mon, last fri", ["Mon 02", "Fri 27"]),
        ("second tue", ["Tue 10"]),
        ("day 15, last day", ["Sun 15", "Mon 30"]),
        ("2026-11-24", ["Tue 24"]),
        ("2026-11-09..2026-11-11", ["Mon 09", "Tue 10", "Wed 11"]),
        ("11-28..02-01", ["Sat 28", "Sun 29", "Mon 30"]),
        ("2026-11-14, fri-sun, 11-20", ["Sun 01", "Fri 06", "Sat 07", "Sun 08"]),
    ],
)
def test_a_calendar_names_its_days(days: str, expected: list[str]) -> None:
    ticks = local(entry(calendar={"days": days, "times": "09:30"}), "2026-11-01 00:00", 30)
    assert [tick.removesuffix(" 09:30") for tick in ticks][: len(expected)] == expected


def test_a_calendar_has_several_times_and_single_moments() -> None:
    finals = entry(calendar={"days": "sat", "times": "18:00, 09:00", "at": "2026-11-26 07:15"})
    assert local(finals, "2026-11-23 00:00", 7) == ["Thu 26 07:15", "Sat 28 09:00", "Sat 28 18:00"]


def test_a_single_moment_comes_once_and_never_again() -> None:
    once = entry(calendar={"at": "2026-11-26 07:15"})
    at = datetime(2026, 11, 26, 7, 15, tzinfo=ZoneInfo("Australia/Sydney"))
    assert (first := once.next_tick(at - timedelta(days=400))) is not None
    assert first.at == at
    assert once.next_tick(at) is None


@pytest.mark.parametrize(
    "trigger",
    [
        {"cron": "0 6 * * *"},
        {"calendar": {"days": "mon-sun", "times": "06:00"}},
        {"every_s": 86400.0, "zone": "UTC"},
    ],
)
def test_days_left_out_have_no_ticks(trigger: dict[str, Any]) -> None:
    settings = ScheduleEntry.model_validate(
        {"zone": "Australia/Sydney", **trigger, "except_days": "christmas, sun"}
    )
    shut = Entry("it", settings, {"christmas": ("12-25", "12-26")})
    start = datetime(2026, 12, 23, 12, tzinfo=UTC)
    days = [
        tick.at.astimezone(ZoneInfo(settings.zone)).day for tick in shut.ticks(start, start + timedelta(6))
    ]
    assert days == [24, 28, 29]


def test_an_entry_that_is_left_out_every_day_has_no_tick() -> None:
    never = entry(every_s=1.0, except_days="mon-sun")
    assert never.next_tick(datetime(2026, 11, 23, tzinfo=UTC)) is None
