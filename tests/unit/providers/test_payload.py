"""Lenient reading of JSON."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from providers.payload import (
    BrokenRecord,
    identifier,
    moment,
    number,
    optional_identifier,
    text,
    truth,
    whole_number,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3207, "3207"),
        ("3207", "3207"),
        (" x ", "x"),
        ("", None),
        (" ", None),
        (None, None),
        (3207.0, "3207"),
        (41.5, "41.5"),
        (123456789012345678901234567890, "123456789012345678901234567890"),
        (True, None),
        ([], None),
    ],
)
def test_text_is_text_or_digits(value: object, expected: str | None) -> None:
    assert text({"key": value}, "key") == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, 1),
        ("41.2", 41.2),
        (-37.8, -37.8),
        ("", None),
        (None, None),
        ("nan", None),
        ("inf", None),
        (True, None),
    ],
)
def test_number_comes_as_number_or_text(value: object, expected: float | None) -> None:
    assert number(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(7, 7), ("7", 7), (7.0, 7), ("7.0", 7), (7.5, None), ("x", None), (1e300, None)]
)
def test_whole_number_is_whole(value: object, expected: int | None) -> None:
    assert whole_number(value) == expected


@pytest.mark.parametrize(
    "value",
    ["2031-10-18T02:00:00.000Z", "2031-10-18T02:00:00", "2031-10-18T13:00:00+11:00", "20311018T020000Z"],
)
def test_moment_is_aware_utc(value: str) -> None:
    assert moment(value) == datetime(2031, 10, 18, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        (False, False),
        ("True", True),
        (" no ", False),
        (1, True),
        ("0", False),
        (None, None),
        ("maybe", None),
        (2, None),
    ],
)
def test_truth_is_told_in_several_ways(value: object, *, expected: bool | None) -> None:
    assert truth(value) is expected


def test_id_longer_than_any_is_none() -> None:
    assert optional_identifier({"id": "x" * 201}, "id") is None
    with pytest.raises(BrokenRecord, match="`id` has 201 characters"):
        identifier({"id": "x" * 201}, "id")


@pytest.mark.parametrize(
    "value",
    [
        *(None, "", "soon", 7),
        "2031-13-01T00:00:00Z",
        "0001-01-01T00:00:00+23:00",
        "9999-12-31T23:59:59-10:00",
    ],
)
def test_unreadable_moment_is_none(value: object) -> None:
    assert moment(value) is None


def test_identifier_is_lower_case() -> None:
    assert optional_identifier({"id": " 7C1D22AA "}, "id") == "7c1d22aa"
