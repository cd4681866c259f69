"""A forwarding HTTP proxy on loopback, with a password if it has one."""

from __future__ import annotations

import http.client
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_NOT_FORWARDED = ("content-length", "transfer-encoding", "connection", "server", "date")


class ProxyServer:
    """Forwards GETs of plain HTTP; answers 407 to other credentials than its own."""

    def __init__(self, credentials: str | None = None) -> None:
        self.forwarded: list[str] = []
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


def _handler_of(proxy: ProxyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if not proxy.is_welcome(self.headers.get("Proxy-Authorization")):
                proxy.refused += 1
                self._reply(407, {}, b"proxy authentication required")
                return
            proxy.forwarded.append(self.path)
            target = urlsplit(self.path)
            upstream = http.client.HTTPConnection(target.netloc, timeout=5)
            try:
                headers = {name: value for name, value in self.headers.items() if "proxy" not in name.lower()}
                upstream.request("GET", self.path.partition(target.netloc)[2], headers=headers)
                answer = upstream.getresponse()
                self._reply(answer.status, dict(answer.getheaders()), answer.read())
            finally:
                upstream.close()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
            pass

        def _reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                if name.lower() not in (
                    "content-length",
                    "transfer-encoding",
                    "connection",
                    "server",
                    "date",
                ):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
