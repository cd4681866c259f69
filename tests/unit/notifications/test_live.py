from __future__ import annotations

import logging

import pytest
from pydantic import SecretStr

from notifications.live import LiveNotifications
from settings.schema import NotificationsSettings, SlackSettings
from tests.unit.notifications.builders import finished
from tests.unit.notifications.fakes import KnownRuns, Outbox, Records

SLACK = NotificationsSettings(slack=SlackSettings(token=SecretStr("xoxb-1")))


def test_channels_and_routes_change_while_it_runs(caplog: pytest.LogCaptureFixture) -> None:
    outbox = Outbox()
    live = LiveNotifications(NotificationsSettings(), outbox, KnownRuns(), Records(), lambda _run: None)
    with caplog.at_level(logging.INFO):
        live.announce(finished())
        assert outbox.sent == []
        live.apply(SLACK)
        live.announce(finished())
        assert outbox.sent == [("sync_succeeded", "slack", "r1")]
        live.apply(NotificationsSettings())
        live.deliver("sync_succeeded", "slack", "r1")
    assert caplog.records[-1].getMessage() == "notice_without_channel"
