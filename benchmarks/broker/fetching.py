"""Jobs that wait for HTTP: what one gevent process gets done with httpx."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
from collections.abc import Iterator

from benchmarks.broker.arena import Arena, wait_until
from benchmarks.broker.contestants import OURS, STOCK, Contestant, message
from benchmarks.broker.report import Figure, Row

CONCURRENCY = 200
LATENCY_S = 0.1
DEADLINE_S = 180.0
ANSWER = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 15\r\n\r\n" + b'{"ok": "yes!!"}'
)


def measure(url: str, count: int) -> Row:
    with _slow_server() as address:
        figures = (
            _figure(STOCK, url, address, "shared", count),
            _figure(STOCK, url, address, "sharded", count),
            _figure(OURS, url, address, "sharded", count),
        )
    return Row(
        f"{count:,} jobs of one 100-ms GET with httpx", "jobs/s", figures, must="12 x, aim 1,200 of 2,000"
    )


def _figure(contestant: Contestant, url: str, address: str, pool: str, count: int) -> Figure:
    arena = Arena(contestant, url)
    with arena.worker(threads=CONCURRENCY, environment={"BENCH_HTTP": address, "BENCH_POOL": pool}):
        _send(arena, CONCURRENCY)  # warm: connections are open, every greenlet has run
        wait_until(lambda: arena.unfinished() == 0, DEADLINE_S)
        _send(arena, count)
        took_s = wait_until(lambda: arena.unfinished() == 0, DEADLINE_S)
    arena.close()
    return Figure(f"{contestant.label}, {pool} pool", count / took_s)


def _send(arena: Arena, count: int) -> None:
    for _ in range(count):
        arena.sender.enqueue(message("get"))


@contextlib.contextmanager
def _slow_server() -> Iterator[str]:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(listener,), daemon=True)
    process.start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    process.kill()
    process.join()
    listener.close()


def _serve(listener: socket.socket) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await asyncio.sleep(LATENCY_S)
                writer.write(ANSWER)

    async def serve() -> None:
        server = await asyncio.start_server(answer, sock=listener)
        await server.serve_forever()

    asyncio.run(serve())
