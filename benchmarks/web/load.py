"""Many clients that send requests over connections of their own.

Written on bare sockets: a client library would take more of the machine than the server that
is measured.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answered:
    """What came back: seconds for each request, in no order, and how many of each status."""

    elapsed_s: float
    latencies_s: Sequence[float]
    statuses: dict[int, int]

    @property
    def rate(self) -> float:
        return len(self.latencies_s) / self.elapsed_s


def ask_all(
    host: str, port: int, requests: Iterator[bytes], *, clients: int, per_s: float | None = None
) -> Answered:
    """Send all requests over `clients` connections, as fast as they are answered or `per_s` in all.

    At a rate, a request's time counts from when it was due, so that a server that lags is not
    spared by clients that wait for it.
    """
    return asyncio.run(_ask_all(host, port, requests, clients, per_s))


def request_bytes(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def _ask_all(
    host: str, port: int, requests: Iterator[bytes], clients: int, per_s: float | None
) -> Answered:
    latencies_s: list[float] = []
    statuses: dict[int, int] = {}
    numbered = enumerate(requests)

    began_s = time.perf_counter()

    async def ask_on() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for number, request in numbered:
            due_s = time.perf_counter() if per_s is None else began_s + number / per_s
            await asyncio.sleep(max(due_s - time.perf_counter(), 0))
            writer.write(request)
            status = await _read_answer(reader)
            latencies_s.append(time.perf_counter() - due_s)
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(ask_on() for _ in range(clients)))
    return Answered(time.perf_counter() - began_s, latencies_s, statuses)


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
    return int(head[9:12])
