"""An HTTP proxy on loopback, forwarding and tunnelling, with a password if it has one."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_NOT_FORWARDED = ("content-length", "transfer-encoding", "connection", "server", "date")


class ProxyServer:
    """Forwards GETs of plain HTTP and tunnels the rest; 407 to other credentials than its own.

    With `tunnel_status` it answers that to every CONNECT instead of opening a tunnel.
    """

    def __init__(self, credentials: str | None = None, *, tunnel_status: int = 200) -> None:
        self.forwarded: list[str] = []
        self.tunnelled: list[str] = []
        self.told: list[str] = []
        self.tunnel_status = tunnel_status
        self.refused = 0
        self._credentials = credentials
        self._http = _Server(("127.0.0.1", 0), _handler_of(self))

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._http.server_address[1]}"

    def is_welcome(self, authorization: str | None) -> bool:
        if self._credentials is None:
            return True
        return authorization == f"Basic {b64encode(self._credentials.encode()).decode()}"

    @contextmanager
    def running(self) -> Iterator[ProxyServer]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self._http.shutdown()
            thread.join()
            self._http.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Either end of a tunnel may break off."""


class _Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _NOT_FORWARDED:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _handler_of(proxy: ProxyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(_Answering):
        def do_GET(self) -> None:
            if not self._is_let_in():
                return
            proxy.forwarded.append(self.path)
            target = urlsplit(self.path)
            upstream = http.client.HTTPConnection(target.netloc, timeout=30)
            try:
                headers = {name: value for name, value in self.headers.items() if "proxy" not in name.lower()}
                upstream.request("GET", self.path.partition(target.netloc)[2], headers=headers)
                answer = upstream.getresponse()
                self.reply(answer.status, dict(answer.getheaders()), answer.read())
            finally:
                upstream.close()

        def do_CONNECT(self) -> None:
            if not self._is_let_in():
                return
            proxy.tunnelled.append(self.path)
            proxy.told.append(str(self.headers))
            if proxy.tunnel_status != http.client.OK:
                self.reply(proxy.tunnel_status, {}, b"no tunnel")
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=30) as upstream:
                self.send_response(200)
                self.end_headers()
                _join(self.connection, upstream)
            self.close_connection = True

        def _is_let_in(self) -> bool:
            if proxy.is_welcome(self.headers.get("Proxy-Authorization")):
                return True
            proxy.refused += 1
            self.reply(407, {}, b"proxy authentication required")
            return False

    return Handler


def _join(client: socket.socket, upstream: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    other = {client: upstream, upstream: client}
    while True:
        readable, _, _ = select.select(list(other), [], [], 30)
        for side in readable:
            chunk = side.recv(65536)
            if not chunk:
                return
            other[side].sendall(chunk)
        if not readable:
            return
