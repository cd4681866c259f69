"""Answers that stray from Strapi's own form, read for what they are."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from cms.strapi.calls import Calls
from sync.errors import CmsAnswersWrongly


def ask(response: httpx.Response) -> Any:
    transport = httpx.MockTransport(lambda _: response)
    with httpx.Client(transport=transport, base_url="http://cms.test") as http:
        return Calls(http).send_once("GET", "/teams", lambda content: content)


def test_json_that_is_called_a_page_is_read() -> None:
    answer = httpx.Response(200, headers={"content-type": "text/html"}, content=b'{"data": []}')
    assert ask(answer) == {"data": []}


def test_error_that_is_a_plain_text_is_told() -> None:
    with pytest.raises(CmsAnswersWrongly, match="no such column"):
        ask(httpx.Response(400, json={"error": "no such column"}))
