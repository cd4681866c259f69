from __future__ import annotations

import pytest

from web.dashboard.pages import duration


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "\N{EN DASH}"),
        (-3, "0 ms"),
        (0.02, "20 ms"),
        (4.52, "4.5 s"),
        (59.6, "1 min"),
        (200, "3 min 20 s"),
        (900, "15 min"),
        (7500, "2 h 5 min"),
        (7200.4, "2 h"),
        (273_600, "3 d 4 h"),
        (86_461, "1 d"),
    ],
)
def test_durations_are_told_in_their_two_largest_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text
