from __future__ import annotations

from datetime import UTC, datetime

import pytest

from notifications.routing import Way, quiet_until, uses_tags, ways
from settings.schema import QuietHours, RouteSettings
from sync.incident import Severity

NIGHT = QuietHours(starts="22:00", ends="07:00", zone="Australia/Sydney")
# 23:00 in Sydney.
AT_NIGHT = datetime(2026, 6, 1, 13, 0, tzinfo=UTC)
MORNING = datetime(2026, 6, 1, 21, 0, tzinfo=UTC)


def found(route: RouteSettings, *more: RouteSettings, **asked: object) -> dict[str, Way]:
    routes = {str(number): each for number, each in enumerate((route, *more))}
    usual: dict[str, object] = {"event": "sync_failed", "severity": Severity.ERROR, "now": AT_NIGHT}
    return dict(ways(routes, **(usual | asked)))  # type: ignore[arg-type]  # a test's own choice


def test_a_route_matches_by_event_severity_and_tag() -> None:
    route = RouteSettings(events=("sync_*",), severity=Severity.WARNING, tags=("gold",), channels=("slack",))
    assert list(found(route, tags=["gold", "new"])) == ["slack"]
    assert found(route, tags=["new"]) == {}
    assert found(route, tags=["gold"], severity=Severity.INFO) == {}
    assert found(route, tags=["gold"], event="direct_failed") == {}
    assert uses_tags({"a": route})
    assert not uses_tags({"a": RouteSettings()})


def test_an_empty_route_takes_everything_and_a_channel_hears_of_it_once() -> None:
    routes = (RouteSettings(channels=("slack", "mail")), RouteSettings(channels=("slack",)))
    assert list(found(*routes)) == ["slack", "mail"]


def test_of_two_routes_to_a_channel_the_sooner_counts() -> None:
    quiet = RouteSettings(channels=("slack",), quiet=NIGHT)
    single = RouteSettings(channels=("slack",), told="each")
    assert found(quiet, severity=Severity.INFO)["slack"] == Way(MORNING, is_grouped=True)
    assert found(quiet, single, severity=Severity.INFO)["slack"] == Way(None, is_grouped=False)


def test_what_is_bad_enough_breaks_through_the_quiet() -> None:
    route = RouteSettings(channels=("slack",), quiet=NIGHT)
    assert found(route)["slack"].not_before is None
    assert found(route, severity=Severity.WARNING)["slack"].not_before == MORNING


@pytest.mark.parametrize(
    ("starts", "ends", "now", "until"),
    [
        ("22:00", "07:00", "2026-06-01T11:59:59", None),
        ("22:00", "07:00", "2026-06-01T12:00:00", "2026-06-01T21:00:00"),
        ("22:00", "07:00", "2026-06-01T20:59:59", "2026-06-01T21:00:00"),
        ("22:00", "07:00", "2026-06-01T21:00:00", None),
        ("12:00", "13:00", "2026-06-01T02:30:00", "2026-06-01T03:00:00"),
        ("12:00", "13:00", "2026-06-01T03:00:00", None),
        # Sydney's clocks skip 02:00 to 03:00 on 4 October 2026, and repeat it on 5 April.
        ("22:00", "07:00", "2026-10-03T15:30:00", "2026-10-03T20:00:00"),
        ("01:00", "02:30", "2026-10-03T15:45:00", "2026-10-03T16:30:00"),
        ("22:00", "07:00", "2026-04-04T16:30:00", "2026-04-04T21:00:00"),
    ],
)
def test_quiet_hours_follow_the_wall_clock(starts: str, ends: str, now: str, until: str | None) -> None:
    quiet = QuietHours(starts=starts, ends=ends, zone="Australia/Sydney")
    expected = datetime.fromisoformat(until).replace(tzinfo=UTC) if until else None
    assert quiet_until(quiet, datetime.fromisoformat(now).replace(tzinfo=UTC)) == expected


def test_without_hours_it_is_never_quiet() -> None:
    assert quiet_until(QuietHours(), AT_NIGHT) is None
