"""Days by name, as calendars and holidays list them.

sat   mon-fri            days of the week
first mon   last fri     first to fourth, or last, of each month
day 15   last day        of each month
12-25   12-20..01-05     each year
2026-12-24   2026-12-20..2027-01-05
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from datetime import date

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
ORDINALS = ("first", "second", "third", "fourth")
# Some leap year, so that 02-29 is a day of the year.
ANY_LEAP_YEAR = 2000

_WEEKDAY = "|".join(WEEKDAYS)
_IN_WEEK = re.compile(rf"(?P<first>{_WEEKDAY})(?:-(?P<last>{_WEEKDAY}))?")
_IN_MONTH = re.compile(rf"(?P<ordinal>{'|'.join(ORDINALS)}|last) (?P<weekday>{_WEEKDAY})")
_NUMBERED = re.compile(r"day (?P<number>\d{1,2})")
_IN_YEAR = re.compile(r"(?P<first>\d\d-\d\d)(?:\.\.(?P<last>\d\d-\d\d))?")
_DATED = re.compile(r"(?P<first>\d{4}-\d\d-\d\d)(?:\.\.(?P<last>\d{4}-\d\d-\d\d))?")

IsNamed = Callable[[date], bool]


def read_days(text: str) -> IsNamed | None:
    """Tells the days that the text names; None when it names none."""
    try:
        for pattern, read in _FORMS:
            if match := pattern.fullmatch(text.strip().lower()):
                return read(match)
    except ValueError:  # the 30th of February
        return None
    return None


def _in_week(match: re.Match[str]) -> IsNamed:
    first = WEEKDAYS.index(match["first"])
    length = (WEEKDAYS.index(match["last"] or match["first"]) - first) % 7
    return lambda day: (_weekday(day) - first) % 7 <= length


def _in_month(match: re.Match[str]) -> IsNamed:
    weekday = WEEKDAYS.index(match["weekday"])
    if match["ordinal"] == "last":
        return lambda day: _weekday(day) == weekday and day.day > _days_in_month(day) - 7
    week = ORDINALS.index(match["ordinal"])
    return lambda day: _weekday(day) == weekday and (day.day - 1) // 7 == week


def _numbered(match: re.Match[str]) -> IsNamed:
    number = date(ANY_LEAP_YEAR, 1, int(match["number"])).day
    return lambda day: day.day == number


def _last_day(_match: re.Match[str]) -> IsNamed:
    return lambda day: day.day == _days_in_month(day)


def _in_year(match: re.Match[str]) -> IsNamed:
    first, last = (_day_of_year(match["first"]), _day_of_year(match["last"] or match["first"]))
    if first <= last:
        return lambda day: first <= (day.month, day.day) <= last
    return lambda day: (day.month, day.day) >= first or (day.month, day.day) <= last


def _dated(match: re.Match[str]) -> IsNamed:
    first, last = (date.fromisoformat(match["first"]), date.fromisoformat(match["last"] or match["first"]))
    if last < first:
        raise ValueError
    return lambda day: first <= day <= last


def _day_of_year(text: str) -> tuple[int, int]:
    day = date.fromisoformat(f"{ANY_LEAP_YEAR}-{text}")
    return day.month, day.day


def _weekday(day: date) -> int:
    return day.isoweekday() % 7


def _days_in_month(day: date) -> int:
    return calendar.monthrange(day.year, day.month)[1]


_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], IsNamed]], ...] = (
    (_IN_WEEK, _in_week),
    (_IN_MONTH, _in_month),
    (_NUMBERED, _numbered),
    (re.compile("last day"), _last_day),
    (_IN_YEAR, _in_year),
    (_DATED, _dated),
)
