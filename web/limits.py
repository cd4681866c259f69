"""How much one caller may ask: bytes of a request, requests a second."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.problems import Problem, problem_response

MAX_BODY_BYTES = 1024 * 1024
# An import carries whole account lists: 16 MiB is about 100,000 accounts.
MAX_IMPORT_BYTES = 16 * 1024 * 1024
IMPORT_PATH = "/api/v1/accounts/import"


class BodyLimit:
    """Refuses a request whose body is too long, announced or not, with 413."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit_bytes = MAX_IMPORT_BYTES if scope["path"] == IMPORT_PATH else MAX_BODY_BYTES
        detail = f"The body is longer than the {limit_bytes} bytes that are read here."
        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > limit_bytes:
                # An HTTPException, because FastAPI turns any other one into a 400.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            return message

        if _announced_bytes(scope) > limit_bytes:
            problem = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, headers={"Connection": "close"})
            await problem_response(problem, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive_counted, send)


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


class RateLimit:
    """Requests a second for each caller, with a burst of two seconds' worth.

    GCRA: a caller's next free moment moves on by one interval a request. Counted in
    this process alone: with several web processes each grants the full rate.
    """

    def __init__(self, requests_per_s: float, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._interval_s = 1 / requests_per_s
        self._burst_s = 2.0
        self._now_s = now_s
        self._free_at_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def wait_s(self, caller: str) -> float:
        """0 when the request is granted, else how long to wait before asking again."""
        with self._lock:
            now_s = self._now_s()
            free_at_s = max(self._free_at_s.get(caller, now_s), now_s)
            wait_s = free_at_s - now_s - self._burst_s
            if wait_s > 0:
                return wait_s
            self._free_at_s[caller] = free_at_s + self._interval_s
            return 0.0
