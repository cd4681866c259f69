"""A chat that accepts posts as Slack does, by webhook or by token, and shows them."""

from __future__ import annotations

import json
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from simulator.answers import html_answer, json_answer
from simulator.server import Answer, Request

WEBHOOK = "/slack/webhook/"
POST_MESSAGE = "/slack/api/chat.postMessage"
AUTH_TEST = "/slack/api/auth.test"


class Chat:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def answer(self, request: Request, at_s: float) -> Answer:
        """A webhook says "ok" in plain text; the token form gives `ok`, `channel` and `ts`."""
        if request.method != "POST":
            return Answer(405, b"method_not_allowed", content_type="text/plain")
        message = _read(request)
        if request.path.startswith(WEBHOOK):
            if message is None or not ("text" in message or "blocks" in message or "attachments" in message):
                return Answer(400, b"invalid_payload", content_type="text/plain")
            self._keep(message, at_s, form="webhook", channel=request.path.removeprefix(WEBHOOK))
            return Answer(200, b"ok", content_type="text/plain")
        if request.path == AUTH_TEST:
            return _auth_test(request)
        return self._post_message(request, message, at_s)

    def page(self) -> Answer:
        """What was posted, newest first, for people."""
        rows = "".join(
            f"<li><b>{escape(str(message['channel']))}</b> {escape(message['ts'])}"
            f"<pre>{escape(message['text'] or json.dumps(message['payload'], indent=1))}</pre></li>"
            for message in reversed(self.messages)
        )
        return html_answer(
            200, f"<!doctype html><title>Chat</title><h1>Chat</h1><ul>{rows or '<li>Nothing yet.'}</ul>"
        )

    def _post_message(self, request: Request, message: dict[str, Any] | None, at_s: float) -> Answer:
        if not _has_token(request):
            return json_answer({"ok": False, "error": "not_authed"})
        if message is None:
            return json_answer({"ok": False, "error": "invalid_json"})
        if not message.get("channel"):
            return json_answer({"ok": False, "error": "channel_not_found"})
        if not (message.get("text") or message.get("blocks") or message.get("attachments")):
            return json_answer({"ok": False, "error": "no_text"})
        ts = self._keep(message, at_s, form="token", channel=str(message["channel"]))
        return json_answer({"ok": True, "channel": message["channel"], "ts": ts, "message": message})

    def _keep(self, message: dict[str, Any], at_s: float, *, form: str, channel: str) -> str:
        ts = f"{int(at_s)}.{len(self.messages) + 1:06d}"
        self.messages.append(
            {
                "ts": ts,
                "form": form,
                "channel": channel,
                "text": str(message.get("text") or ""),
                "thread_ts": message.get("thread_ts"),
                "payload": message,
            }
        )
        return ts


def _auth_test(request: Request) -> Answer:
    if not _has_token(request):
        return json_answer({"ok": False, "error": "not_authed"})
    return json_answer({"ok": True, "user": "clubsync", "team": "Simulator"})


def _has_token(request: Request) -> bool:
    return request.headers.get("authorization", "").startswith("Bearer ")


def _read(request: Request) -> dict[str, Any] | None:
    """The posted message: JSON, or a form (with the JSON in `payload`, as older webhooks send it)."""
    try:
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            form = dict(parse_qsl(request.body.decode()))
            message = json.loads(form["payload"]) if "payload" in form else form
        else:
            message = json.loads(request.body)
    except ValueError:
        return None
    return message if isinstance(message, dict) else None
