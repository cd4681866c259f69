from __future__ import annotations

import sys
from importlib.metadata import EntryPoint

from pydantic import SecretStr

from notifications.channels import Channel
from notifications.registry import GROUP, open_channels
from settings.schema import NotificationsSettings, SlackSettings


def open_nothing(settings: NotificationsSettings) -> Channel | None:
    raise RuntimeError("no licence")


def leave(settings: NotificationsSettings) -> Channel | None:
    sys.exit("this is no library")


def test_without_configuration_all_built_in_channels_are_unconfigured() -> None:
    channels = open_channels(NotificationsSettings())
    assert channels.opened == {}
    assert set(channels.unconfigured) == {"slack", "mail", "webhook", "apprise"}


def test_a_broken_channel_is_reported_and_the_others_open() -> None:
    installed = (
        EntryPoint("pager", "tests.unit.notifications.test_registry:open_nothing", GROUP),
        EntryPoint("leaver", "tests.unit.notifications.test_registry:leave", GROUP),
        EntryPoint("absent", "no_such_package:open_channel", GROUP),
        EntryPoint("slack", "notifications.slack:open_channel", GROUP),
    )
    settings = NotificationsSettings(slack=SlackSettings(token=SecretStr("xoxb-1")))
    channels = open_channels(settings, installed)
    assert list(channels.opened) == ["slack"]
    assert channels.broken["pager"] == "RuntimeError: no licence"
    assert channels.broken["leaver"] == "SystemExit: this is no library"
    assert channels.broken["absent"].startswith("ModuleNotFoundError")
