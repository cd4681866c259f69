"""A provider over real HTTP that answers as a test tells it, faults included."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer; `fault` may be "reset", "cut" (half of the body), "hang" or "trickle" (never an end)."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    fault: str | None = None

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass(frozen=True)
class Seen:
    """A request that arrived."""

    target: str
    headers: dict[str, str]


class ProviderServer:
    """Answers a path (with its query) from its script; the last reply stays for ever."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self.released = threading.Event()
        self._scripts: dict[str, deque[Reply | Callable[[Seen], Reply]]] = defaultdict(deque)
        self._lock = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _handler_of(self))
        self._scheme = "https" if tls else "http"
        if tls:
            # The handshake belongs into the connection's own thread, at its first read.
            self._http.socket = tls.wrap_socket(
                self._http.socket, server_side=True, do_handshake_on_connect=False
            )

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._http.server_address[1]}"

    @property
    def targets(self) -> list[str]:
        return [seen.target for seen in self.seen]

    def script(self, target: str, *replies: Reply | Callable[[Seen], Reply]) -> None:
        self._scripts[target] = deque(replies)

    def last_reply(self, target: str) -> Reply | Callable[[Seen], Reply]:
        """What stays for ever."""
        return self._scripts[target][-1]

    def reply_to(self, seen: Seen) -> Reply:
        with self._lock:
            self.seen.append(seen)
            script = self._scripts.get(seen.target)
            if not script:
                return Reply({"error": "not found"}, 404)
            reply = script.popleft() if len(script) > 1 else script[0]
        return reply if isinstance(reply, Reply) else reply(seen)

    @contextmanager
    def running(self) -> Iterator[ProviderServer]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.released.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()

    @contextmanager
    def counted(self) -> Iterator[None]:
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 100

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what many tests are about."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    released: threading.Event

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def answer(self, reply: Reply) -> None:
        if reply.fault == "hang":
            self.released.wait(30)
        if reply.fault in ("reset", "hang"):
            # Linger 0: closing sends a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        has_body = reply.status not in (204, 304)
        headers = {"Content-Type": "application/json", **reply.headers}
        if has_body and reply.fault != "trickle":
            headers.setdefault("Content-Length", str(len(reply.content)))
        self.send_response(reply.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if has_body:
            self._send_body(reply)

    def _send_body(self, reply: Reply) -> None:
        # After anything but what was announced, the connection is of no more use.
        if reply.fault is not None or "Content-Length" in reply.headers:
            self.close_connection = True
        if reply.fault == "trickle":
            while not self.released.wait(0.02):
                self.wfile.write(b" ")
        elif reply.fault == "cut":
            self.wfile.write(reply.content[: len(reply.content) // 2])
        else:
            self.wfile.write(reply.content)


def _handler_of(provider: ProviderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Answering):
        released = provider.released

        def do_GET(self) -> None:
            with provider.counted():
                headers = {name.lower(): value for name, value in self.headers.items()}
                self.answer(provider.reply_to(Seen(self.path, headers)))

    return Handler
