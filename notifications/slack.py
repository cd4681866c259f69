"""Slack: an incoming webhook, or chat.postMessage with a bot token.

Sources: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://docs.slack.dev/reference/methods/chat.postMessage, read 2026-11-23.
"""

from __future__ import annotations

import json
from typing import Any

import httpx

from notifications import posting
from notifications.channels import Channel
from notifications.notice import Notice
from settings.schema import NotificationsSettings, SlackSettings
from sync.errors import CredentialsRejected, DeferredError, PermanentError, TransientError

# Values of `error` in an answer with ok=false; any other one stays wrong however often it is sent.
REJECTED = frozenset(
    {"not_authed", "invalid_auth", "token_expired", "token_revoked", "account_inactive", "missing_scope"}
)
PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
THROTTLED = frozenset({"ratelimited", "rate_limited"})


def open_channel(settings: NotificationsSettings) -> Channel | None:
    """None when neither a webhook nor a token is set; the webhook goes first."""
    slack = settings.slack
    client = posting.open_client(settings.timeout_s)
    if slack.webhook_url is not None:
        return SlackWebhook(client, slack.webhook_url.get_secret_value())
    if slack.token is not None:
        return SlackApi(client, slack, slack.token.get_secret_value())
    return None


class SlackWebhook:
    """The address decides the Slack channel; the answer is the text `ok` and no reference."""

    name = "slack"

    def __init__(self, client: httpx.Client, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, notice: Notice) -> str:
        content = _json({"text": _text(notice)})
        posting.post(self._client, self._url, content, what="post to the Slack webhook", headers={})
        return notice.key

    def reach(self) -> str:
        return posting.connect(self._client, self._url, what="the Slack webhook")


class SlackApi:
    """Good news to `channel`, the rest to `error_channel`; answers `<channel>:<ts>`."""

    name = "slack"

    def __init__(self, client: httpx.Client, settings: SlackSettings, token: str) -> None:
        self._client = client
        self._settings = settings
        self._token = token

    def send(self, notice: Notice) -> str:
        channel = self._settings.channel if notice.is_good else self._settings.error_channel
        what = f"post to {channel} of Slack"
        payload = {"channel": channel, "text": _text(notice), "unfurl_links": False}
        answer = self._call("chat.postMessage", payload, what)
        return f"{answer.get('channel', channel)}:{answer.get('ts', '')}"

    def reach(self) -> str:
        """Test the token: https://docs.slack.dev/reference/methods/auth.test, read 2026-11-23."""
        what = "the Slack token"
        answer = self._call("auth.test", {}, what)
        return f"{what} is that of {answer.get('user', 'a bot')} in {answer.get('team', 'its workspace')}"

    def _call(self, method: str, payload: dict[str, Any], what: str) -> dict[str, Any]:
        response = posting.post(
            self._client,
            f"{self._settings.base_url.rstrip('/')}/{method}",
            _json(payload),
            what=what,
            headers={"authorization": f"Bearer {self._token}"},
        )
        answer = _answer(response, what)
        if answer.get("ok") is not True:
            raise _refusal(str(answer.get("error", "no reason given")), response, what)
        return answer


def _text(notice: Notice) -> str:
    # Slack reads these three as markup. Source: https://docs.slack.dev/messaging/formatting-message-text
    return notice.text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _json(payload: dict[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


def _answer(response: httpx.Response, what: str) -> dict[str, Any]:
    try:
        answer = response.json()
    except ValueError as error:
        raise TransientError(f"{what}: the answer is not JSON") from error
    return answer if isinstance(answer, dict) else {}


def _refusal(
    reason: str, response: httpx.Response, what: str
) -> TransientError | DeferredError | PermanentError:
    message = f"{what}: refused: {reason}"
    if reason in THROTTLED:
        return DeferredError(message, retry_after_s=posting.retry_after_s(response))
    if reason in PASSING:
        return TransientError(message)
    return CredentialsRejected(message) if reason in REJECTED else PermanentError(message)
