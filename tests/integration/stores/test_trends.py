from __future__ import annotations

import pytest
import redis

from stores.redis.trends import COARSE_KEPT, FINE_KEPT, Point, Trends

NOON = 30_000_000


@pytest.fixture
def trends(redis_client: redis.Redis, namespace: str) -> Trends:
    return Trends(redis_client, namespace)


def test_minutes_are_kept_and_summed_up_by_the_half_hour(trends: Trends) -> None:
    first = Point(enqueued=3, done=2, waiting=1)
    second = Point(done=4, died=1, waiting=7, dead=1)
    trends.record({NOON: first, NOON + 1: second})
    assert trends.fine() == [(NOON * 60, first), ((NOON + 1) * 60, second)]
    assert trends.coarse() == [(NOON * 60, Point(enqueued=3, done=6, died=1, waiting=7, dead=1))]


def test_recording_a_minute_again_changes_nothing(trends: Trends) -> None:
    for _ in range(2):
        trends.record({NOON: Point(done=2)})
    assert trends.coarse() == [(NOON * 60, Point(done=2))]


def test_what_is_older_than_a_day_or_a_month_is_dropped(trends: Trends) -> None:
    trends.record({NOON: Point(done=1)})
    trends.record({NOON + FINE_KEPT: Point(done=2)})
    assert [point.done for _, point in trends.fine()] == [2]
    assert len(trends.coarse()) == 2
    trends.record({NOON + COARSE_KEPT * 30: Point(done=3)})
    assert [point.done for _, point in trends.coarse()] == [2, 3]


def test_a_change_is_marked_once(trends: Trends) -> None:
    trends.mark_once("clubsync 1.0 started", 100.0)
    trends.mark_once("clubsync 1.1 started", 200.0)
    trends.mark_once("clubsync 1.0 started", 300.0)
    assert [(mark.at_s, mark.text) for mark in trends.marks()] == [
        (100.0, "clubsync 1.0 started"),
        (200.0, "clubsync 1.1 started"),
    ]
