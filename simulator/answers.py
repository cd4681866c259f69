"""The answers that every face gives: JSON, errors, pages of HTML."""

from __future__ import annotations

import json
from typing import Any

from simulator.server import Answer


def encode(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def json_answer(value: Any, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status, encode(value), headers=headers)


def error_answer(status: int, text: str) -> Answer:
    """PlayHQ's form of an error. Source: reference on providers, 1.5."""
    return json_answer({"status": "error", "error": text}, status)


def html_answer(status: int, page: str) -> Answer:
    return Answer(status, page.encode(), content_type="text/html; charset=utf-8")
