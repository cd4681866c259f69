"""Texts that the CMS's consumers compare with, to the letter."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cms.strapi.formats import clock_time, label, long_day, moment, read_day, short_code, short_day, text
from cms.strapi.projection import is_same

STATUSES = {"UPCOMING": "Upcoming", "PENDING": "Upcoming", "FINAL": "Final"}


def test_days_and_times_have_the_forms_of_the_cms() -> None:
    day = date(2031, 10, 3)

    assert long_day(day) == "Friday, 3 October 2031"
    assert short_day(day) == "03 Oct 2031"
    assert (
        moment(datetime(2031, 10, 3, 11, tzinfo=timezone(timedelta(hours=11)))) == "2031-10-03T00:00:00.000Z"
    )
    assert moment(datetime(2031, 10, 3, 1, 2, 3, 4500, tzinfo=UTC)) == "2031-10-03T01:02:03.004Z"


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        (time(0, 5), "12:05 AM"),
        (time(9, 30), "9:30 AM"),
        (time(11, 0), "11:00 AM"),
        (time(12, 0), "12:00 PM"),
        (time(23, 59), "11:59 PM"),
    ],
)
def test_time_is_shown_on_a_clock_of_twelve_hours(start: time, shown: str) -> None:
    assert clock_time(start) == shown


@given(st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 1, 1)))
def test_day_is_read_back_from_every_form(day: date) -> None:
    assert read_day(short_day(day)) == day
    assert read_day(long_day(day)) == day
    assert read_day(day.isoformat()) == day
    assert read_day(f"{day.isoformat()}T00:00:00.000Z") == day


@pytest.mark.parametrize("value", [None, "", "soon", "31 Feb 2031", "12 Foo 2031", 7])
def test_day_that_is_none_is_missing(value: object) -> None:
    assert read_day(value) is None


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("FINAL", "Final"),
        ("final", "Final"),
        ("Final ", "Final"),
        ("PENDING", "Upcoming"),
        ("IN_PROGRESS", "In Progress"),
        ("twoDayPlus", "Two Day Plus"),
        (None, None),
    ],
)
def test_code_has_its_label_and_an_unknown_one_is_shown_in_title_case(
    code: str | None, shown: str | None
) -> None:
    assert label(code, STATUSES) == shown


@pytest.mark.parametrize("code", ["t20", "T20", "T_20", "t-20"])
def test_label_is_found_with_whichever_separators(code: str) -> None:
    assert label(code, {"t20": "T20", "twoDay": "Two Day+"}) == "T20"


@pytest.mark.parametrize(
    ("column", "wanted", "stored"),
    [
        ("dayOne", "2031-10-18T00:00:00.000Z", "2031-10-18T00:00:00Z"),
        ("dayOne", "2031-10-18T00:00:00.000Z", "2031-10-18T11:00:00+11:00"),
        ("dateRangeObj", ["Friday, 3 October 2031"], '["Friday, 3 October 2031"]'),
        ("scorecards", {"points": {}}, '{"points": {}}'),
    ],
)
def test_value_in_another_form_is_the_same(column: str, wanted: Any, stored: Any) -> None:
    assert is_same(column, wanted, stored)


@pytest.mark.parametrize(
    ("column", "wanted", "stored"),
    [
        ("dayOne", "2031-10-18T00:00:00.000Z", "2031-10-18T00:00:01Z"),
        ("dayOne", "2031-10-18T00:00:00.000Z", "2031-10-18"),
        ("dayOne", "2031-10-18T00:00:00.000Z", None),
        ("dayOne", None, "2031-10-18T00:00:00Z"),
        ("dateRangeObj", ["Friday, 3 October 2031"], "[]"),
        ("dateRangeObj", ["Friday, 3 October 2031"], "Friday"),
    ],
)
def test_another_value_is_not_the_same(column: str, wanted: Any, stored: Any) -> None:
    assert not is_same(column, wanted, stored)


def test_short_code_is_the_beginning_of_a_uuid_and_other_ids_stay_whole() -> None:
    assert short_code("5d10ff00-0000-4000-8000-000000000001") == "5d10ff00"
    assert short_code("4711") == "4711"


def test_text_is_as_long_as_the_column_allows() -> None:
    assert text("x" * 300) == "x" * 255
    assert text(None) is None
