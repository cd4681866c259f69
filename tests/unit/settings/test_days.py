from __future__ import annotations

from datetime import date

import pytest

from settings.days import read_days
from settings.loader import load
from sync.errors import ConfigurationError


@pytest.mark.parametrize(
    "text",
    ["", "someday", "mon-", "fifth mon", "day 0", "day 32", "02-30", "2026-02-29", "2026-12-24..2026-12-01"],
)
def test_what_names_no_day_is_told(text: str) -> None:
    assert read_days(text) is None


@pytest.mark.parametrize(
    ("text", "named", "other"),
    [
        ("Sat", date(2026, 11, 28), date(2026, 11, 27)),
        ("fri-mon", date(2026, 11, 30), date(2026, 11, 26)),
        ("last fri", date(2026, 11, 27), date(2026, 11, 20)),
        ("third wed", date(2026, 11, 18), date(2026, 11, 25)),
        ("last day", date(2028, 2, 29), date(2028, 2, 28)),
        ("02-29", date(2028, 2, 29), date(2027, 3, 1)),
        ("12-20..01-05", date(2027, 1, 5), date(2027, 1, 6)),
        ("2026-12-20..2027-01-05", date(2027, 1, 5), date(2028, 1, 5)),
    ],
)
def test_days_have_names(text: str, named: date, other: date) -> None:
    is_named = read_days(text)
    assert is_named is not None
    assert is_named(named)
    assert not is_named(other)


def test_every_mistake_of_a_calendar_is_named_at_once() -> None:
    entry = "CLUBSYNC_SCHEDULER__ENTRIES__FINALS__"
    environ = {
        f"{entry}CALENDAR__DAYS": "sat, caturday",
        f"{entry}CALENDAR__TIMES": "25:00",
        f"{entry}CALENDAR__AT": "2026-12-24T09:00+11:00",
    }
    with pytest.raises(ConfigurationError) as refused:
        load(environ)
    for said in ("caturday", "such as 09:30", "should name no zone"):
        assert said in str(refused.value)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"CALENDAR__DAYS": "sat"}, "calendar.times"),
        ({"CALENDAR__DAYS": "sat", "CALENDAR__TIMES": "09:00", "CRON": "0 1 * * *"}, "not two of them"),
        ({"CRON": "0 1 * * *", "EXCEPT_DAYS": "queensland"}, "a list of scheduler.holidays"),
        ({"CRON": "0 1 * * *", "EXCEPT_DAYS": "13-01"}, "should name days"),
    ],
)
def test_parts_of_an_entry_that_do_not_fit_are_refused(settings: dict[str, str], said: str) -> None:
    environ = {f"CLUBSYNC_SCHEDULER__ENTRIES__FINALS__{name}": value for name, value in settings.items()}
    with pytest.raises(ConfigurationError, match=said):
        load(environ)


def test_an_entry_may_leave_out_a_list_of_days_that_the_settings_name() -> None:
    environ = {
        "CLUBSYNC_SCHEDULER__HOLIDAYS": '{"victoria": ["12-25", "2026-11-03"]}',
        "CLUBSYNC_SCHEDULER__ENTRIES__FINALS__CALENDAR__DAYS": "sat, first mon",
        "CLUBSYNC_SCHEDULER__ENTRIES__FINALS__CALENDAR__TIMES": "09:00",
        "CLUBSYNC_SCHEDULER__ENTRIES__FINALS__EXCEPT_DAYS": "victoria, 01-01",
    }
    scheduler = load(environ).settings.scheduler
    assert scheduler.holidays == {"victoria": ("12-25", "2026-11-03")}
    assert scheduler.entries["finals"].when == "sat, first mon at 09:00, not victoria, 01-01"
