"""A chat that takes, changes, threads and lists messages as Slack does, and shows them."""

from __future__ import annotations

import hashlib
import json
import re
from html import escape
from typing import Any
from urllib.parse import parse_qsl

from simulator.answers import html_answer, json_answer
from simulator.server import Answer, Request

WEBHOOK = "/slack/webhook/"
API = "/slack/api/"
_ID = re.compile(r"C[0-9A-F]{9}")
# A page of Slack's lists is at most so long, whatever is asked for.
MOST_LISTED = 200


class Chat:
    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def answer(self, request: Request, at_s: float) -> Answer:
        """A webhook says "ok" in plain text; the token form gives `ok`, `channel` and `ts`."""
        if request.path.startswith(API):
            return self._api(request, at_s)
        if request.method != "POST":
            return Answer(405, b"method_not_allowed", content_type="text/plain")
        message = _read(request)
        if message is None or not ("text" in message or "blocks" in message or "attachments" in message):
            return Answer(400, b"invalid_payload", content_type="text/plain")
        self._keep(message, at_s, form="webhook", channel=request.path.removeprefix(WEBHOOK))
        return Answer(200, b"ok", content_type="text/plain")

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

    def _api(self, request: Request, at_s: float) -> Answer:
        if not request.headers.get("authorization", "").startswith("Bearer "):
            return _refused("not_authed")
        method = request.path.removeprefix(API)
        if method == "auth.test":
            return json_answer({"ok": True, "user": "clubsync", "team": "Simulator"})
        if request.method == "GET":
            return self._list(method, request.query)
        return self._write(method, _read(request), at_s)

    def _write(self, method: str, message: dict[str, Any] | None, at_s: float) -> Answer:
        if error := _mistake(message):
            return _refused(error)
        assert message is not None  # noqa: S101  that would be a mistake
        if method == "chat.update":
            return self._update(message)
        if method != "chat.postMessage":
            return _refused("unknown_method")
        ts = self._keep(message, at_s, form="token", channel=str(message["channel"]))
        channel = conversation_id(str(message["channel"]))
        return json_answer({"ok": True, "channel": channel, "ts": ts, "message": message})

    def _update(self, message: dict[str, Any]) -> Answer:
        for kept in self._in(str(message["channel"])):
            if kept["ts"] == message.get("ts"):
                kept["text"] = str(message.get("text") or "")
                kept["metadata"] = message.get("metadata", kept["metadata"])
                kept["updates"] += 1
                channel = conversation_id(str(message["channel"]))
                return json_answer({"ok": True, "channel": channel, "ts": kept["ts"], "text": kept["text"]})
        return _refused("message_not_found")

    def _list(self, method: str, query: dict[str, str]) -> Answer:
        """Channels or messages; history knows ids only, the newest first, a thread the oldest first."""
        if method == "conversations.list":
            names = sorted({message["channel"] for message in self.messages if message["form"] == "token"})
            listed = [{"id": conversation_id(name), "name": name.removeprefix("#")} for name in names]
            return _paged("channels", listed, query)
        found = [
            message
            for message in self.messages
            if conversation_id(message["channel"]) == query.get("channel")
        ]
        if not found:
            return _refused("channel_not_found")
        recent = [message for message in found if message["ts"] >= query.get("oldest", "")]
        if method == "conversations.history":
            shown = [message for message in reversed(recent) if not message["thread_ts"]]
        elif method == "conversations.replies":
            shown = [
                message for message in recent if query.get("ts") in (message["ts"], message["thread_ts"])
            ]
        else:
            return _refused("unknown_method")
        fields = ("ts", "text", "thread_ts", *(("metadata",) if "include_all_metadata" in query else ()))
        return _paged("messages", [{name: message[name] for name in fields} for message in shown], query)

    def _in(self, channel: str) -> list[dict[str, Any]]:
        return [
            message
            for message in self.messages
            if channel in (message["channel"], conversation_id(message["channel"]))
        ]

    def _keep(self, message: dict[str, Any], at_s: float, *, form: str, channel: str) -> str:
        channel = next((known["channel"] for known in self._in(channel)), channel)
        ts = f"{int(at_s)}.{len(self.messages) + 1:06d}"
        self.messages.append(
            {
                "ts": ts,
                "form": form,
                "channel": channel,
                "text": str(message.get("text") or ""),
                "thread_ts": message.get("thread_ts"),
                "metadata": message.get("metadata"),
                "updates": 0,
                "payload": message,
            }
        )
        return ts


def conversation_id(name: str) -> str:
    """The id that Slack would give a channel of this name; an id is its own."""
    if _ID.fullmatch(name):
        return name
    return f"C{hashlib.sha256(name.encode()).hexdigest()[:9].upper()}"


def _mistake(message: dict[str, Any] | None) -> str | None:
    if message is None:
        return "invalid_json"
    if not message.get("channel"):
        return "channel_not_found"
    has_content = message.get("text") or message.get("blocks") or message.get("attachments")
    return None if has_content else "no_text"


def _refused(error: str) -> Answer:
    return json_answer({"ok": False, "error": error})


def _paged(key: str, listed: list[dict[str, Any]], query: dict[str, str]) -> Answer:
    limit = min(int(query.get("limit") or MOST_LISTED), MOST_LISTED)
    start = int(query.get("cursor") or 0)
    following = str(start + limit) if start + limit < len(listed) else ""
    return json_answer(
        {
            "ok": True,
            key: listed[start : start + limit],
            "has_more": bool(following),
            "response_metadata": {"next_cursor": following},
        }
    )


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
