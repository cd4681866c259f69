from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
import trustme
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from notifications import slack, webhook
from notifications.channels import Channel
from notifications.notice import notice_of
from settings.schema import NotificationsSettings, SlackSettings, WebhookSettings
from sync.errors import AddressGone, CredentialsRejected, DeferredError, PermanentError, TransientError
from sync.report import RunState
from tests.unit.notifications.builders import finished

GOOD = notice_of(finished())
BAD = notice_of(finished(state=RunState.FAILED, message="5 < 6 & <no answer>"))
TOKEN = "xoxb-secret-token"


def opened(channel: Channel | None) -> Channel:
    assert channel is not None
    return channel


@pytest.fixture
def api(httpserver: HTTPServer) -> Channel:
    settings = SlackSettings(token=SecretStr(TOKEN), base_url=httpserver.url_for("/api"))
    return opened(slack.open_channel(NotificationsSettings(slack=settings)))


@pytest.fixture
def hook(httpserver: HTTPServer) -> Channel:
    settings = SlackSettings(webhook_url=SecretStr(httpserver.url_for("/services/T0/B0/secret")))
    return opened(slack.open_channel(NotificationsSettings(slack=settings)))


def test_good_news_goes_to_the_channel_and_bad_news_to_the_error_channel(
    api: Channel, httpserver: HTTPServer
) -> None:
    httpserver.expect_request("/api/chat.postMessage", method="POST").respond_with_json(
        {"ok": True, "channel": "C1", "ts": "17.1"}
    )
    assert api.send(GOOD) == "C1:17.1"
    assert api.send(BAD) == "C1:17.1"
    first, second = (request for request, _ in httpserver.log)
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert json.loads(first.data)["channel"] == "#data-account"
    assert json.loads(second.data)["channel"] == "#data-account-error"
    assert "5 &lt; 6 &amp; &lt;no answer&gt;" in json.loads(second.data)["text"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ({"ok": False, "error": "channel_not_found"}, PermanentError),
        ({"ok": False, "error": "invalid_auth"}, CredentialsRejected),
        ({"ok": False, "error": "internal_error"}, TransientError),
        ({"ok": False, "error": "ratelimited"}, DeferredError),
        ({"ok": False}, PermanentError),
        ([], PermanentError),
    ],
)
def test_an_answer_that_is_not_ok_is_an_error(
    api: Channel, httpserver: HTTPServer, answer: object, kind: type[Exception]
) -> None:
    httpserver.expect_request("/api/chat.postMessage").respond_with_json(answer)
    with pytest.raises(kind) as caught:
        api.send(GOOD)
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, TransientError),
        (503, TransientError),
        (408, TransientError),
        (401, CredentialsRejected),
        (403, CredentialsRejected),
        (404, PermanentError),
        (410, AddressGone),
    ],
)
def test_a_refused_post_is_told_by_what_to_do_about_it(
    hook: Channel, httpserver: HTTPServer, status: int, kind: type[Exception]
) -> None:
    httpserver.expect_request("/services/T0/B0/secret").respond_with_data(
        "channel_is_archived", status=status
    )
    with pytest.raises(kind, match=f"{status} channel_is_archived") as caught:
        hook.send(GOOD)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("header", "lowest", "highest"),
    [
        ("7", 7, 7),
        ("in 300 s, as a date", 200, 300),
        ("soon", 30, 30),
        ("-5", 0, 0),
        ("9999999", 3600, 3600),
    ],
)
def test_a_throttled_post_is_deferred_for_as_long_as_asked(
    hook: Channel, httpserver: HTTPServer, header: str, lowest: float, highest: float
) -> None:
    if header.endswith("date"):
        header = format_datetime(datetime.now(UTC) + timedelta(seconds=300), usegmt=True)
    httpserver.expect_request("/services/T0/B0/secret").respond_with_data(
        "slow down", status=429, headers={"Retry-After": header}
    )
    with pytest.raises(DeferredError) as caught:
        hook.send(GOOD)
    assert lowest <= caught.value.retry_after_s <= highest


def test_a_server_that_does_not_answer_is_transient(hook: Channel, httpserver: HTTPServer) -> None:
    httpserver.stop()
    with pytest.raises(TransientError, match="no answer"):
        hook.send(GOOD)
    httpserver.start()


def test_a_certificate_that_is_not_valid_is_said_and_waited_for() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with HTTPServer(ssl_context=context) as server:
        address = SecretStr(server.url_for("/hook"))
        settings = WebhookSettings(url=address, secret=SecretStr("shared-secret"))
        channel = opened(webhook.open_channel(NotificationsSettings(webhook=settings)))
        with pytest.raises(TransientError, match="the certificate is not valid: "):
            channel.send(GOOD)


def test_a_webhook_gets_signed_fields_and_the_same_key_each_time(httpserver: HTTPServer) -> None:
    secret = "shared-secret"
    settings = WebhookSettings(url=SecretStr(httpserver.url_for("/hook")), secret=SecretStr(secret))
    channel = opened(webhook.open_channel(NotificationsSettings(webhook=settings)))

    def check(request: Request) -> Response:
        at = int(request.headers["x-clubsync-signature"].split(",")[0].removeprefix("t="))
        expected = webhook.sign(secret.encode(), at, request.data)
        return Response(status=200 if request.headers["x-clubsync-signature"] == expected else 401)

    httpserver.expect_request("/hook", method="POST").respond_with_handler(check)
    channel.send(BAD)
    channel.send(BAD)
    first, second = (request for request, _ in httpserver.log)
    for name in ("x-clubsync-delivery", "webhook-id", "idempotency-key"):
        assert first.headers[name] == second.headers[name] == BAD.key
    body = json.loads(first.data)
    assert (body["event"], body["run_id"], body["outcome"]) == ("sync_failed", "r1", "failed")
