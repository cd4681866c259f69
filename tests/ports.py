"""Ports for servers that a test starts later, or starts again on the same port.

They lie below the range from which the kernel gives ports to whoever asks for any: between the choice
and the start, nobody is given one of them.
"""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator

FIRST, LAST = 10_000, 32_000
# pytest-xdist's processes have a part each.
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


def _in_turn() -> Iterator[int]:
    size = (LAST - FIRST) // _WORKERS
    begins = FIRST + _WORKER * size
    # Other tests on this machine begin elsewhere.
    offset = random.SystemRandom().randrange(size)
    while True:
        yield begins + offset % size
        offset += 1


_PORTS = _in_turn()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody holds, and that no other caller is given."""
    for port in _PORTS:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("the ports go round for ever")
