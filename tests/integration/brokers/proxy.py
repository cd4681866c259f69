"""A TCP proxy in front of Redis that can lose answers, stall, cut connections and end TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from urllib.parse import urlsplit


class Proxy:
    """Forwards to a Redis server; its switches take effect on the next bytes."""

    def __init__(self, redis_url: str, *, tls: ssl.SSLContext | None = None) -> None:
        target = urlsplit(redis_url)
        self._target = (target.hostname or "127.0.0.1", target.port or 6379)
        self._tls = tls
        self._server = socket.create_server(("127.0.0.1", 0))
        place = f":{target.password or ''}@127.0.0.1:{self._server.getsockname()[1]}"
        self.url = target._replace(scheme="rediss" if tls else "redis", netloc=place).geturl()
        self.answers_to_lose = 0
        self.lost = threading.Event()
        self._flows = threading.Event()
        self._flows.set()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def stall(self) -> None:
        """Nothing passes in either direction until `flow`."""
        self._flows.clear()

    def flow(self) -> None:
        self._flows.set()

    def cut(self) -> None:
        """Reset every connection."""
        sockets, self._sockets = self._sockets, []
        for one in sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._server.close()
        self._flows.set()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            try:
                if self._tls:
                    near = self._tls.wrap_socket(near, server_side=True)
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self._sockets += [near, far]
            threading.Thread(target=self._pump, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, True), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_answer: bool) -> None:  # noqa: FBT001 -- a thread's positional argument
        with suppress(OSError):
            while chunk := source.recv(65536):
                self._flows.wait()
                if is_answer and self.answers_to_lose:
                    self.answers_to_lose -= 1
                    self.lost.set()
                    break  # the connection ends without the answer
                sink.sendall(chunk)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
