"""How much one caller may ask: bytes of a request, requests a second."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Protocol

from fastapi.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sync.errors import StoreUnavailable
from web.problems import Problem, problem_response

MAX_BODY_BYTES = 1024 * 1024
# An import carries whole account lists: 16 MiB is about 100,000 accounts.
MAX_IMPORT_BYTES = 16 * 1024 * 1024
# Twice what browsers and proxies send at most.
MAX_HEADER_BYTES = 64 * 1024
BURST_S = 2.0
# A twentieth of a second's requests at once: few questions to Redis, and little that lapses unused.
TAKEN_S = 0.05
LAPSES_AFTER_S = 1.0
MOST_PURSES = 10_000
# So much of a body that is too long is thrown away unread: many clients send all of it before they listen.
MAX_DRAINED_BYTES = 4 * MAX_IMPORT_BYTES
# One that stops in the middle is told after so long, instead of being waited for.
MAX_DRAINED_S = 10.0
IMPORT_PATH = "/api/v1/accounts/import"


class BodyLimit:
    """Refuses a request whose body is too long, announced or not, with 413; or its headers, with 431."""

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
                await _drain(receive, message)
                # An HTTPException, because FastAPI turns any other one into a 400.
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            return message

        if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADER_BYTES:
            problem = Problem(
                HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                f"The headers are longer than the {MAX_HEADER_BYTES} bytes that are read here.",
                headers={"Connection": "close"},
            )
            await problem_response(problem, scope["path"])(scope, receive, send)
            return
        if (announced_bytes := _announced_bytes(scope)) > limit_bytes:
            # A client that asks before it sends is told at once.
            if announced_bytes <= MAX_DRAINED_BYTES and (b"expect", b"100-continue") not in scope["headers"]:
                await _drain(receive, await receive())
            problem = Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, headers={"Connection": "close"})
            await problem_response(problem, scope["path"])(scope, receive, send)
            return
        await self._app(scope, receive_counted, send)


async def _drain(receive: Receive, message: Message) -> None:
    """Throw away what is left of a body after the message, within bounds."""
    drained_bytes = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(MAX_DRAINED_S):
            while message.get("more_body", False) and drained_bytes <= MAX_DRAINED_BYTES:
                message = await receive()
                drained_bytes += len(message.get("body", b""))


def _announced_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0


class Counter(Protocol):
    """Counts each caller's requests for all web processes."""

    def take(self, caller: str, count: int, *, per_s: float, burst_s: float) -> Granted:
        """Take up to `count` requests of the caller's. Raises StoreUnavailable."""
        ...


class Granted(Protocol):
    @property
    def requests(self) -> int: ...

    @property
    def wait_s(self) -> float: ...


@dataclass(slots=True)
class _Purse:
    """What this process holds of a caller's requests, until it lapses."""

    count: int = 0
    lapses_at_s: float = 0.0
    filling: asyncio.Lock = field(default_factory=asyncio.Lock)


class RateLimit:
    """Requests a second for each caller, with a burst of two seconds' worth, over all web processes.

    A process takes a twentieth of a second's worth at once and lets what it has not used in a
    second lapse. While Redis does not answer, requests are granted: what they need of it fails
    by itself, and the probes and pages that say so must not be refused as well.
    """

    def __init__(
        self,
        counter: Counter,
        per_s: Callable[[], float],
        *,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counter = counter
        self._per_s = per_s
        self._now_s = now_s
        self._purses: dict[str, _Purse] = {}

    async def wait_s(self, caller: str) -> float:
        """0 when the request is granted, else how long to wait before asking again."""
        purse = self._purses.get(caller)
        if purse is None:
            purse = self._purses.setdefault(caller, _Purse())
        if self._spend(purse):
            return 0.0
        async with purse.filling:
            if self._spend(purse):  # somebody else has filled it meanwhile
                return 0.0
            return await self._fill(purse, caller)

    def _spend(self, purse: _Purse) -> bool:
        if purse.count == 0 or self._now_s() > purse.lapses_at_s:
            return False
        purse.count -= 1
        return True

    async def _fill(self, purse: _Purse, caller: str) -> float:
        """Take some more, and spend one of them."""
        per_s = self._per_s()
        count = max(1, round(per_s * TAKEN_S))
        take = partial(self._counter.take, caller, count, per_s=per_s, burst_s=BURST_S)
        try:
            granted = await run_in_threadpool(take)
        except StoreUnavailable:
            self._keep(purse, count)
            return 0.0
        if granted.requests == 0:
            return granted.wait_s
        self._keep(purse, granted.requests - 1)
        return 0.0

    def _keep(self, purse: _Purse, count: int) -> None:
        purse.count = count
        purse.lapses_at_s = self._now_s() + LAPSES_AFTER_S
        if len(self._purses) > MOST_PURSES:
            now_s = self._now_s()
            self._purses = {name: one for name, one in self._purses.items() if one.lapses_at_s > now_s}
