"""Ports on loopback."""

from __future__ import annotations

import socket

import click


def free_port(preferred: int = 0) -> int:
    """`preferred` if nobody listens there, else one that the system gives."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def is_listening(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def refuse_busy(port: int) -> None:
    """Say so at once when the port is taken. Raises ClickException, exit code 1."""
    if is_listening(port):
        raise click.ClickException(f"port {port} is in use: stop what uses it, or set PORT to a free one")
