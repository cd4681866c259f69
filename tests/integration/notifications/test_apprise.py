"""The extra, against a target on loopback."""

from __future__ import annotations

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from notifications.apprise import open_channel
from notifications.notice import notice_of
from settings.schema import AppriseSettings, NotificationsSettings
from sync.errors import ConfigurationError, TransientError
from tests.unit.notifications.builders import finished

# Apprise still imports it on Python 3.11.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def settings(*urls: str) -> NotificationsSettings:
    return NotificationsSettings(apprise=AppriseSettings(urls=tuple(map(SecretStr, urls))))


def test_a_notice_reaches_the_services_that_apprise_knows(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook", method="POST").respond_with_data("ok")
    channel = open_channel(settings(f"json://{httpserver.host}:{httpserver.port}/hook"))
    assert channel is not None
    notice = notice_of(finished())
    assert channel.send(notice) == "r1:sync_succeeded"
    (request, _), *_ = httpserver.log
    assert request.get_json()["title"] == "Sync of club 3 succeeded"
    assert request.get_json()["type"] == "success"


def test_a_service_that_fails_is_transient_and_shows_no_address(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/hook").respond_with_data("no", status=500)
    channel = open_channel(settings(f"json://user:secret@{httpserver.host}:{httpserver.port}/hook"))
    assert channel is not None
    with pytest.raises(TransientError) as caught:
        channel.send(notice_of(finished()))
    assert "secret" not in str(caught.value)


def test_an_address_that_apprise_cannot_read_is_named_by_its_number() -> None:
    with pytest.raises(ConfigurationError, match="address 2"):
        open_channel(settings("json://localhost/a", "nonsense://secret"))


def test_without_addresses_or_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    assert open_channel(settings()) is None
    monkeypatch.setattr("notifications.apprise.find_spec", lambda _name: None)
    with pytest.raises(ConfigurationError, match=r"clubsync\[apprise\]"):
        open_channel(settings("json://localhost"))
