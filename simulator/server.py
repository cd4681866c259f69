"""A small HTTP/1.1 server on asyncio, because faults need the socket itself.

A framework can't cut an answer in the middle or reset a connection; this can, and
serves several thousand answers a second beside injected latency. It knows what
the simulator needs: keep-alive, Content-Length bodies, one answer at a time.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from http import HTTPStatus
from urllib.parse import parse_qsl, unquote

log = logging.getLogger(__name__)

# Longer heads are refused as Strapi refuses them: 431 without a body.
_MAX_HEAD_BYTES = 16 * 1024
_SLOW_PIECES = 10


@dataclass(frozen=True)
class Request:
    """`path` is decoded, header names are lower-case; `target` is as it was sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""

    @cached_property
    def path(self) -> str:
        return unquote(self.target.partition("?")[0])

    @cached_property
    def pairs(self) -> list[tuple[str, str]]:
        """The query in order; names may repeat."""
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(self.pairs)


class Delivery(Enum):
    """How the bytes of an answer reach the client."""

    WHOLE = auto()
    CUT = auto()  # half of the body, then the connection closes
    RESET = auto()  # no answer at all: the connection is reset
    DRIP = auto()  # in ten pieces over `drip_s`


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes = b""
    content_type: str = "application/json; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()
    delay_s: float = 0.0
    delivery: Delivery = Delivery.WHOLE
    drip_s: float = 0.0
    # The name of the fault that it met, for the counters.
    fault: str | None = None


Handler = Callable[[Request], Answer]
# Told when an answer's last byte is handed over: the request, the answer, seconds it took.
OnDone = Callable[[Request, Answer, float], None]


class Listener:
    """A listening server and the connections it has.

    `keep_alive_s` is how long an idle connection stays open; None: until the client ends it.
    """

    def __init__(self, handler: Handler, on_done: OnDone, *, keep_alive_s: float | None = None) -> None:
        self._handler = handler
        self._on_done = on_done
        self._keep_alive_s = keep_alive_s
        self._connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> tuple[str, int]:
        """Serve until closed; answers the address. Port 0 takes a free one.

        Raises OSError when the address can't be had.
        """
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self._handler, self._on_done, self._connections, self._keep_alive_s),
            host,
            port,
            backlog=2048,
            reuse_address=True,
        )
        bound = self._server.sockets[0].getsockname()
        return bound[0], bound[1]

    async def close(self) -> None:
        """Stop at once: connections that idle in clients' pools are not waited for."""
        if self._server is None:
            return
        self._server.close()
        for connection in tuple(self._connections):
            connection.abort()
        await self._server.wait_closed()


class _Connection(asyncio.Protocol):
    def __init__(
        self,
        handler: Handler,
        on_done: OnDone,
        connections: set[_Connection],
        keep_alive_s: float | None,
    ) -> None:
        self._handler = handler
        self._on_done = on_done
        self._connections = connections
        self._keep_alive_s = keep_alive_s
        self._idle: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._is_busy = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (create_server makes these)
        self._transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  (asyncio's name)
        self._transport = None
        self._connections.discard(self)
        if self._idle:
            self._idle.cancel()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        """Take one whole request from the buffer, unless one is being answered."""
        if self._is_busy or self._transport is None:
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end > _MAX_HEAD_BYTES or (end < 0 and len(self._buffer) > _MAX_HEAD_BYTES):
            self._transport.write(
                b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\n\r\n"
            )
            self._transport.close()
            return
        if end < 0:
            return
        try:
            method, target, headers = _parse_head(bytes(self._buffer[:end]))
            length = int(headers.get("content-length", "0"))
        except ValueError:
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")
            self._transport.close()
            return
        if len(self._buffer) < end + 4 + length:
            return
        body = bytes(self._buffer[end + 4 : end + 4 + length])
        del self._buffer[: end + 4 + length]
        self._answer(Request(method, target, headers, body))

    def _answer(self, request: Request) -> None:
        self._is_busy = True
        if self._idle:
            self._idle.cancel()
        started = self._loop.time()
        try:
            answer = self._handler(request)
        except Exception:  # a fault of the simulator itself must not end it
            log.exception("simulator failed at %s %s", request.method, request.path)
            answer = Answer(500, b'{"error": "the simulator failed; see its log"}')
        if answer.delay_s > 0:
            self._loop.call_later(answer.delay_s, self._send, request, answer, started)
        else:
            self._send(request, answer, started)

    def _send(self, request: Request, answer: Answer, started: float) -> None:
        if self._transport is None:
            self._on_done(request, answer, self._loop.time() - started)
            return
        if answer.delivery is Delivery.RESET:
            self._reset()
        elif answer.delivery is Delivery.CUT:
            self._transport.write(_head(answer) + answer.body[: len(answer.body) // 2])
            self._transport.close()
        elif answer.delivery is Delivery.DRIP:
            self._transport.write(_head(answer))
            self._drip(request, answer, started, 0)
            return
        else:
            body = b"" if request.method == "HEAD" else answer.body
            self._transport.write(_head(answer) + body)
        self._done(request, answer, started)

    def _drip(self, request: Request, answer: Answer, started: float, piece: int) -> None:
        size = -(-len(answer.body) // _SLOW_PIECES)
        if piece and self._transport is not None:
            self._transport.write(answer.body[(piece - 1) * size : piece * size])
        if self._transport is None or piece == _SLOW_PIECES:
            self._done(request, answer, started)
            return
        pause_s = answer.drip_s / _SLOW_PIECES
        self._loop.call_later(pause_s, self._drip, request, answer, started, piece + 1)

    def _done(self, request: Request, answer: Answer, started: float) -> None:
        self._on_done(request, answer, self._loop.time() - started)
        self._is_busy = False
        if self._transport is None:
            return
        if request.headers.get("connection", "").lower() == "close":
            self._transport.close()
            return
        if self._keep_alive_s is not None:
            self._idle = self._loop.call_later(self._keep_alive_s, self._transport.close)
        self._next()

    def _reset(self) -> None:
        transport = self._transport
        if transport is None:
            return
        # Lingering for zero seconds makes close send RST instead of FIN.
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def _parse_head(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return method, target, headers


def _head(answer: Answer) -> bytes:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    lines = [f"HTTP/1.1 {answer.status} {phrase}"]
    if answer.status not in (204, 304):
        lines.append(f"Content-Type: {answer.content_type}")
        lines.append(f"Content-Length: {len(answer.body)}")
    lines.extend(f"{name}: {value}" for name, value in answer.headers)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
