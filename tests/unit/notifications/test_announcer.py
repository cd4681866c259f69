from __future__ import annotations

import logging

import pytest

from notifications.announcer import Announcer
from settings.schema import RouteSettings
from sync.report import Mode, RunState
from tests.unit.notifications.builders import finished
from tests.unit.notifications.fakes import Outbox


def test_each_routed_channel_gets_one_message() -> None:
    outbox = Outbox()
    routes = RouteSettings(direct_failed=("slack", "webhook", "mail"))
    announcer = Announcer(outbox, routes, ["slack", "webhook"])
    announcer.announce(finished(mode=Mode.CLUB_DIRECT, state=RunState.FAILED))
    assert outbox.sent == [("direct_failed", "slack", "r1"), ("direct_failed", "webhook", "r1")]


def test_onboarding_mails_only_after_it_succeeded() -> None:
    outbox = Outbox()
    announcer = Announcer(outbox, RouteSettings(), ["slack", "mail"])
    for state in (RunState.FAILED, RunState.PARTIAL, RunState.SUCCEEDED):
        announcer.announce(finished(mode=Mode.ONBOARDING, state=state))
    assert [(event, channel) for event, channel, _ in outbox.sent] == [
        ("onboarding_failed", "slack"),
        ("onboarding_partial", "slack"),
        ("onboarding_succeeded", "mail"),
    ]


@pytest.mark.parametrize("routes", [RouteSettings(), RouteSettings(sync_succeeded=())])
def test_what_no_channel_hears_is_one_line_in_the_log(
    routes: RouteSettings, caplog: pytest.LogCaptureFixture
) -> None:
    outbox = Outbox()
    with caplog.at_level(logging.INFO):
        Announcer(outbox, routes, []).announce(finished())
    assert outbox.sent == []
    assert [record.getMessage() for record in caplog.records] == ["notice_only_logged"]
