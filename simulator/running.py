"""A simulator beside the caller, in a thread of its own: for tests and benchmarks in one process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from simulator.app import Simulator
from simulator.server import Listener

_START_TIMEOUT_S = 30.0


@contextmanager
def running(simulator: Simulator, *, keep_alive_s: float | None = None) -> Iterator[str]:
    """Serve on a free loopback port until the block ends; gives the address, without a slash.

    The simulator's records belong to the thread meanwhile: change them over HTTP.
    """
    loop = asyncio.new_event_loop()
    address: list[str] = []
    is_listening = threading.Event()
    stop = asyncio.Event()

    async def serve() -> None:
        listener = Listener(simulator.handle, simulator.done, keep_alive_s=keep_alive_s)
        host, port = await listener.listen("127.0.0.1", 0)
        address.append(f"http://{host}:{port}")
        is_listening.set()
        await stop.wait()
        await listener.close()
        # One more turn for the connections that were aborted.
        await asyncio.sleep(0)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    try:
        if not is_listening.wait(_START_TIMEOUT_S):
            raise TimeoutError("the simulator did not start to listen")
        yield address[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(_START_TIMEOUT_S)
        loop.close()
