from __future__ import annotations

import builtins

import pytest

from web.dashboard import pages
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


def test_pages_are_those_of_the_release_that_started(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [page.name for page in pages.TEMPLATES.iterdir()]
    assert names

    def read_nothing(path: object, *_: object, **__: object) -> None:
        raise AssertionError(f"{path} was read again")

    monkeypatch.setattr(builtins, "open", read_nothing)
    monkeypatch.setattr(pages.environment, "cache", {})
    for name in names:
        pages.environment.get_template(name)
