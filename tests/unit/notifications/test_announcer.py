from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from notifications.announcer import Announcer, Grouping
from settings.loader import load
from settings.schema import AlertsSettings, QuietHours, RouteSettings
from sync.causes import Cause
from sync.report import Mode, RunState
from tests.fakes import FakeClock
from tests.unit.notifications.builders import finished

ROUTES = load({}).settings.notifications.routes


class World:
    """What an announcer writes and asks, kept in memory."""

    def __init__(self) -> None:
        self.added: dict[tuple[str, str], dict[str, Any]] = {}
        self.sent: list[tuple[str, str, str | None]] = []
        self.alike = 1
        self.open_keys: set[str] = set()

    def __call__(self, *, event: str, channel: str, run_id: str | None, about: str | None) -> None:
        self.sent.append((event, channel, run_id))

    def add(self, **fields: Any) -> None:
        self.added.setdefault((fields["key"], fields["channel"]), fields)

    def count_alike(self, provider: str | None, cause: Cause, *, since: datetime) -> int:
        return self.alike

    def is_open(self, key: str) -> bool:
        return key in self.open_keys

    @property
    def left(self) -> list[str]:
        return [fields["left_to"] for fields in self.added.values() if fields["left_to"]]


@pytest.fixture
def world() -> World:
    return World()


def announcer(world: World, routes: Mapping[str, RouteSettings] = ROUTES, *channels: str) -> Announcer:
    return Announcer(
        world,
        world,  # type: ignore[arg-type]  # it only adds
        Grouping(world, world, AlertsSettings(grouped_from=3), {"b1": 200}.__getitem__, 100),
        routes,
        channels or ("slack", "mail"),
        name_of=lambda _run: "Northside CC",
        tags_of=lambda _run: ("gold",),
        clock=FakeClock(),
    )


FAILURE = finished(state=RunState.FAILED, provider="playhq", cause=Cause.PROVIDER_DOWN)


def test_each_routed_channel_gets_one_notice_however_often_it_is_announced(world: World) -> None:
    routes = {"mine": RouteSettings(events=("direct_failed",), channels=("slack", "webhook", "mail"))}
    told = announcer(world, routes, "slack", "webhook")
    for _ in range(2):
        told.announce(finished(mode=Mode.CLUB_DIRECT, state=RunState.FAILED))
    assert list(world.added) == [("r1:direct_failed", "slack"), ("r1:direct_failed", "webhook")]
    assert set(world.sent) == {("direct_failed", "slack", "r1"), ("direct_failed", "webhook", "r1")}


def test_onboarding_mails_only_after_it_succeeded(world: World) -> None:
    for state in (RunState.FAILED, RunState.PARTIAL, RunState.SUCCEEDED):
        announcer(world).announce(finished(mode=Mode.ONBOARDING, state=state))
    assert [(event, channel) for event, channel, _ in world.sent] == [
        ("onboarding_failed", "slack"),
        ("onboarding_partial", "slack"),
        ("onboarding_succeeded", "mail"),
    ]


def test_good_runs_of_a_batch_are_left_to_its_digest_and_the_cms_hears_of_each(world: World) -> None:
    announcer(world, ROUTES, "slack", "cms").announce(finished(batch_id="b1"))
    assert world.sent == [("sync_succeeded", "cms", "r1")]
    assert world.left == ["the digest of batch b1"]


def test_a_failure_of_a_batch_is_told_at_once(world: World) -> None:
    announcer(world).announce(finished(state=RunState.PARTIAL, batch_id="b1"))
    assert world.sent == [("sync_partial", "slack", "r1")]


@pytest.mark.parametrize(
    ("alike", "is_open", "is_left"), [(2, False, False), (3, False, True), (1, True, True)]
)
def test_one_failure_of_many_alike_is_left_to_their_incident(
    world: World,
    alike: int,
    is_open: bool,  # noqa: FBT001  a parameter of the test
    is_left: bool,  # noqa: FBT001  likewise
) -> None:
    world.alike = alike
    world.open_keys = {"provider:playhq"} if is_open else {"queue:syncs"}
    announcer(world).announce(FAILURE)
    assert world.left == (["the incident of provider:playhq"] if is_left else [])
    assert bool(world.sent) is not is_left


def test_nothing_is_left_to_what_does_not_reach_the_channel(world: World) -> None:
    world.alike = 9
    routes = {"runs": RouteSettings(events=("sync_*",), channels=("mail",)), "alerts": ROUTES["alerts"]}
    announcer(world, routes).announce(FAILURE)
    announcer(world, routes).announce(finished(batch_id="b1"))
    assert [channel for _, channel, _ in world.sent] == ["mail", "mail"]
    assert world.left == []


def test_quiet_hours_hold_a_notice_back_without_a_message(world: World) -> None:
    # The fake clock stands at 13:00 in Sydney.
    quiet = QuietHours(starts="12:00", ends="14:00")
    routes = {"mine": RouteSettings(channels=("slack",), tags=("gold",), quiet=quiet)}
    announcer(world, routes).announce(finished())
    assert world.sent == []
    (fields,) = world.added.values()
    assert fields["not_before"].isoformat() == "2031-10-18T03:00:00+00:00"


@pytest.mark.parametrize("routes", [ROUTES, {}])
def test_what_no_channel_hears_is_one_line_in_the_log(
    world: World, routes: Mapping[str, RouteSettings], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        announcer(world, routes, "pager").announce(finished())
    assert world.added == {}
    assert [record.getMessage() for record in caplog.records] == ["notice_only_logged"]
