"""The CMS's own account routes: they only note that they were called."""

from __future__ import annotations

import re
from typing import Any

from simulator.answers import json_answer
from simulator.server import Answer, Request

_ROUTE = re.compile(r"(?:/strapi-v[45])?/api/account/(AccountSchedulerToFalse|setCompleteEmail)/([^/]+)")


def is_callback(path: str) -> bool:
    return _ROUTE.fullmatch(path) is not None


class Callbacks:
    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []

    def answer(self, request: Request, at_s: float) -> Answer:
        match = _ROUTE.fullmatch(request.path)
        if match is None or request.method != "GET":
            return json_answer({"error": "Not Found"}, 404)
        self.calls.append({"route": match[1], "account_id": match[2], "at_s": at_s})
        return json_answer({"ok": True})
