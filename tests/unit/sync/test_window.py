"""Windows: which seasons are read and which games may be removed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from sync.window import Window
from tests.unit.sync.engine import game, season

NOW = datetime(2031, 10, 17, 20, 0, tzinfo=UTC)
TODAY = date(2031, 10, 18)


@pytest.fixture
def window() -> Window:
    return Window.at(NOW, zone="Australia/Sydney", look_back_days=14)


def test_today_is_that_of_the_zone_not_of_the_server(window: Window) -> None:
    assert window.today == TODAY
    assert Window.at(NOW, zone="Europe/London", look_back_days=14).today == date(2031, 10, 17)


@pytest.mark.parametrize("status", ["ACTIVE", "UPCOMING", "POSTPONED"])
def test_a_season_that_is_not_completed_is_kept_without_a_date(window: Window, status: str) -> None:
    assert window.keeps(season(status=status))


@pytest.mark.parametrize(("days_ago", "is_kept"), [(0, True), (14, True), (15, False), (-30, True)])
def test_a_completed_season_is_kept_while_its_last_game_is_recent(
    window: Window, days_ago: int, *, is_kept: bool
) -> None:
    ended = season(status="COMPLETED", last_day=TODAY - timedelta(days=days_ago))
    assert window.keeps(ended) is is_kept


@pytest.mark.parametrize(("days_ago", "is_kept"), [(14, True), (15, False)])
def test_without_days_the_age_of_its_record_decides(window: Window, days_ago: int, *, is_kept: bool) -> None:
    assert window.keeps(season(status="completed", updated_at=NOW - timedelta(days=days_ago))) is is_kept


def test_a_completed_season_of_which_nothing_is_known_is_read(window: Window) -> None:
    assert window.keeps(season(status="COMPLETED"))


def test_a_configured_season_is_always_kept(window: Window) -> None:
    ended = season(status="COMPLETED", last_day=TODAY - timedelta(days=400))
    assert window.keeps(ended, {"season-1"})


@pytest.mark.parametrize(("day", "may"), [(TODAY, True), (None, True)])
def test_future_and_recent_games_may_be_removed(window: Window, day: date | None, *, may: bool) -> None:
    assert window.may_remove(game(1, day=day)) is may


@pytest.mark.parametrize(("days_ago", "may"), [(14, True), (15, False), (-200, True)])
def test_history_may_not_be_removed(window: Window, days_ago: int, *, may: bool) -> None:
    assert window.may_remove(game(1, day=TODAY - timedelta(days=days_ago))) is may
