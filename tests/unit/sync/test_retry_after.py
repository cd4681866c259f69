"""Whatever stands in Retry-After, the wait is a number of seconds or not told."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sync.retry_after import parse_retry_after

NOW = datetime(2031, 10, 18, 2, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("1.5", None),
        ("0", 0.0),
        ("-5", 0.0),
        ("120", 120.0),
        ("9" * 400, None),
        ("²", None),
        ("Sat, 18 Oct 2031 02:02:00 GMT", 120.0),
        ("Sat, 18 Oct 2031 02:02:00 -0000", 120.0),
        ("Sat, 18 Oct 2031 01:00:00 GMT", 0.0),
        ("Sat, 32 Oct 2031 01:00:00 GMT", None),
        ("Sat, 18 Oct 99999 01:00:00 GMT", None),
    ],
)
def test_either_form_is_read_and_anything_else_is_not_told(value: str | None, wait_s: float | None) -> None:
    assert parse_retry_after(value, now=NOW) == wait_s
