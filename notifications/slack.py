"""Slack: an incoming webhook, or the Web API with a bot token.

With a token an incident is one message that is kept up to date and a thread of its changes,
and a message carries its notice's key as metadata: after a crash it is looked for before it
is posted again. A webhook can only post.

Sources, read 2026-11-23: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/messaging/message-metadata, and of https://docs.slack.dev/reference/methods
chat.postMessage, chat.update, conversations.history, conversations.replies, conversations.list.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import httpx

from notifications import posting
from notifications.channels import Channel
from notifications.notice import Notice
from settings.schema import NotificationsSettings, SlackSettings
from sync.errors import CredentialsRejected, DeferredError, NotFound, PermanentError, TransientError
from sync.incident import Severity

log = logging.getLogger(__name__)

# Values of `error` in an answer with ok=false; any other one stays wrong however often it is sent.
REJECTED = frozenset(
    {"not_authed", "invalid_auth", "token_expired", "token_revoked", "account_inactive", "missing_scope"}
)
PASSING = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout"})
# The message was deleted, belongs to another bot, or is older than the workspace lets messages be
# changed: errors of https://docs.slack.dev/reference/methods/chat.update, read 2026-11-23.
UNCHANGEABLE = frozenset(
    {"message_not_found", "thread_not_found", "cant_update_message", "edit_window_closed"}
)
THROTTLED = frozenset({"ratelimited", "rate_limited"})
METADATA_EVENT = "clubsync_notice"
# Slack cuts longer texts (chat.postMessage, "Truncating content").
MOST_CHARS = 40_000
# Ids of conversations, as against names such as #alerts.
CONVERSATION_ID = re.compile(r"[CGD][A-Z0-9]{5,}")
PAGE = 200


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
        content = _json({"text": _text(notice.text)})
        posting.post(self._client, self._url, content, what="post to the Slack webhook", headers={})
        return notice.key

    def reach(self) -> str:
        return posting.connect(self._client, self._url, what="the Slack webhook")


class SlackApi:
    """Good news to `channel`, the rest to `error_channel`; references are `<channel>:<ts>`."""

    name = "slack"

    def __init__(self, client: httpx.Client, settings: SlackSettings, token: str) -> None:
        self._client = client
        self._settings = settings
        self._token = token
        self._ids: dict[str, str] = {}

    def send(self, notice: Notice) -> str:
        """Post the notice."""
        channel = self._channel_of(notice)
        return self._post(channel, {"text": _text(notice.text), **_metadata(notice)})

    def update(self, reference: str, notice: Notice) -> None:
        """Put the notice's text in place of the message's."""
        channel, _, ts = reference.partition(":")
        body = {"channel": channel, "ts": ts, "text": _text(notice.text), **_metadata(notice)}
        self._call("chat.update", body, what=f"update a message in {channel} of Slack")

    def reply(self, reference: str, notice: Notice) -> str:
        """Post the notice's change in the thread of the message."""
        channel, _, ts = reference.partition(":")
        return self._post(
            channel, {"text": _text(notice.change or notice.text), "thread_ts": ts, **_metadata(notice)}
        )

    def find(self, notice: Notice, *, since: datetime, thread: str | None) -> str | None:
        """The message that carries the notice's key; None too where the bot may not look."""
        try:
            return self._look_for(notice, since, thread)
        except PermanentError as error:
            # Told twice is better than not at all; a token that is wrong fails the post as well.
            log.warning("slack_not_searched", extra={"key": notice.key, "reason": str(error)})
            return None

    def reach(self) -> str:
        """Test the token: https://docs.slack.dev/reference/methods/auth.test, read 2026-11-23."""
        what = "the Slack token"
        answer = self._call("auth.test", {}, what=what)
        return f"{what} is that of {answer.get('user', 'a bot')} in {answer.get('team', 'its workspace')}"

    def _look_for(self, notice: Notice, since: datetime, thread: str | None) -> str | None:
        name = thread.partition(":")[0] if thread else self._channel_of(notice)
        channel = self._id_of(name)
        if channel is None:
            return None
        query = {"channel": channel, "oldest": f"{since.timestamp():.6f}", "include_all_metadata": "true"}
        method = "conversations.history"
        if thread is not None:
            method, query["ts"] = "conversations.replies", thread.partition(":")[2]
        for message in self._pages(method, query, "messages"):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if payload.get("key") == notice.key and (thread is None or message.get("ts") != query["ts"]):
                return f"{channel}:{message.get('ts', '')}"
        return None

    def _channel_of(self, notice: Notice) -> str:
        is_good = notice.severity is Severity.INFO
        return self._settings.channel if is_good else self._settings.error_channel

    def _post(self, channel: str, body: Mapping[str, Any]) -> str:
        answer = self._call(
            "chat.postMessage",
            {"channel": channel, "unfurl_links": False, **body},
            what=f"post to {channel} of Slack",
        )
        known = str(answer.get("channel", channel))
        self._ids[channel] = known
        return f"{known}:{answer.get('ts', '')}"

    def _id_of(self, name: str) -> str | None:
        """The history is asked for by id; a name is one of those that the bot sees."""
        if CONVERSATION_ID.fullmatch(name):
            return name
        if name not in self._ids:
            query = {"types": "public_channel,private_channel", "exclude_archived": "true"}
            for channel in self._pages("conversations.list", query, "channels"):
                self._ids.setdefault(f"#{channel.get('name')}", str(channel.get("id")))
        return self._ids.get(name) or self._ids.get(f"#{name}")

    def _pages(self, method: str, query: Mapping[str, str], key: str) -> Iterator[Mapping[str, Any]]:
        cursor = ""
        while True:
            params = {**query, "limit": str(PAGE), **({"cursor": cursor} if cursor else {})}
            what = f"ask Slack's {method}"
            response = posting.get(
                self._client, self._url(method), params, what=what, headers=self._headers()
            )
            answer = _accepted(response, what)
            yield from answer.get(key) or ()
            cursor = (answer.get("response_metadata") or {}).get("next_cursor") or ""
            if not cursor:
                return

    def _call(self, method: str, body: Mapping[str, Any], *, what: str) -> Mapping[str, Any]:
        response = posting.post(
            self._client, self._url(method), _json(body), what=what, headers=self._headers()
        )
        return _accepted(response, what)

    def _url(self, method: str) -> str:
        return f"{self._settings.base_url.rstrip('/')}/{method}"

    def _headers(self) -> Mapping[str, str]:
        return {"authorization": f"Bearer {self._token}"}


def _text(text: str) -> str:
    # Slack reads these three as markup. Source: https://docs.slack.dev/messaging/formatting-message-text
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped if len(escaped) <= MOST_CHARS else f"{escaped[: MOST_CHARS - 1]}…"


def _metadata(notice: Notice) -> Mapping[str, Any]:
    return {"metadata": {"event_type": METADATA_EVENT, "event_payload": {"key": notice.key}}}


def _json(payload: Mapping[str, Any]) -> bytes:
    return json.dumps(payload, ensure_ascii=False).encode()


def _accepted(response: httpx.Response, what: str) -> Mapping[str, Any]:
    """The answer's fields. Raises what its `error` says."""
    try:
        answer = response.json()
    except ValueError as error:
        raise TransientError(f"{what}: the answer is not JSON") from error
    fields = answer if isinstance(answer, dict) else {}
    if fields.get("ok") is not True:
        raise _refusal(str(fields.get("error", "no reason given")), response, what)
    return fields


def _refusal(
    reason: str, response: httpx.Response, what: str
) -> TransientError | DeferredError | PermanentError:
    message = f"{what}: refused: {reason}"
    if reason in THROTTLED:
        return DeferredError(message, retry_after_s=posting.retry_after_s(response))
    if reason in PASSING:
        return TransientError(message)
    if reason in UNCHANGEABLE:
        return NotFound(message)
    return CredentialsRejected(message) if reason in REJECTED else PermanentError(message)
