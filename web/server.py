"""Serving over one port: bound before anything starts, stopped by one SIGTERM with exit 0."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from types import FrameType

import uvicorn
from fastapi import FastAPI

from sync.errors import ConfigurationError

# Open progress streams end by themselves at once; this bounds a request that does not.
GRACE_S = 2
BACKLOG = 2048

log = logging.getLogger(__name__)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises ConfigurationError, in words, when the port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"web cannot listen on {host} port {port}: {error.strerror}; "
            "stop what uses it, or set PORT to a free one"
        ) from error
    return listener


class Server(uvicorn.Server):
    """Uvicorn, except that a signal is an orderly end: it is not raised again afterwards."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM and the first SIGINT drain; a second SIGINT does not wait."""
        del frame
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell open streams first: uvicorn waits for them."""
        self._stopping.set()
        await super().shutdown(sockets)


def serve(app: FastAPI, listener: socket.socket, stopping: asyncio.Event) -> None:
    """Serve until SIGTERM or SIGINT; `stopping` is set as soon as it arrives."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        # X-Forwarded-For is text that anybody can send; the peer address decides.
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
    )
    # Its start and end are told by ours; what is left are warnings and errors.
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    host, port = listener.getsockname()[:2]
    log.info("web_started", extra={"address": f"http://{f'[{host}]' if ':' in host else host}:{port}/"})
    Server(config, stopping).run(sockets=[listener])
    log.info("web_stopped")
