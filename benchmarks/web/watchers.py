"""Open live streams: how soon each hears of something new, and what they cost."""

from __future__ import annotations

import asyncio
import json
import time
from statistics import median

from benchmarks.web.load import ask_all, request_bytes
from benchmarks.web.report import Row
from benchmarks.web.site import Site
from stores.sql.tokens import Role

EVENTS = 20
BETWEEN_S = 0.7


def measure(site: Site, count: int) -> list[Row]:
    """`count` streams of `/live`, while orders come in one by one."""
    return asyncio.run(_measure(site, count))


async def _measure(site: Site, count: int) -> list[Row]:
    token = site.token(Role.ADMIN)
    before_mb = site.process.memory_info().rss / 1e6
    told_at_s: list[list[float]] = [[] for _ in range(count)]
    listening = [asyncio.create_task(_listen(site.port, token, told)) for told in told_at_s]
    while not all(told_at_s):  # noqa: ASYNC110 the listeners fill the lists
        await asyncio.sleep(0.05)
    cpu_before_s, began_s = site.cpu_s(), time.perf_counter()
    late_s: list[float] = []
    for number in range(EVENTS):
        at_s = time.perf_counter()
        await asyncio.to_thread(_order, site.port, token, 1 + number)
        await asyncio.sleep(BETWEEN_S)
        late_s += [next((told - at_s for told in one if told > at_s), BETWEEN_S) for one in told_at_s]
    cpu_share = (site.cpu_s() - cpu_before_s) / (time.perf_counter() - began_s)
    grown_mb = site.process.memory_info().rss / 1e6 - before_mb
    for task in listening:
        task.cancel()
    await asyncio.gather(*listening, return_exceptions=True)
    what = f"{count} live streams"
    return [
        Row(f"{what}: from an order to word of it", "ms, median", median(late_s) * 1000, must="< 1000"),
        Row(f"{what}: from an order to word of it", "ms, worst", max(late_s) * 1000, must="< 1000"),
        Row(f"{what}: memory", "MB", grown_mb),
        Row(f"{what}: processor", "share of a core", cpu_share),
    ]


async def _listen(port: int, token: str, told_at_s: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request_bytes("GET", "/live", {"Authorization": f"Bearer {token}"}))
    while line := await reader.readline():
        if line.startswith(b"event: changed"):
            told_at_s.append(time.perf_counter())
    writer.close()


def _order(port: int, token: str, account_id: int) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"mode": "update", "id": account_id}).encode()
    ask_all("127.0.0.1", port, iter([request_bytes("POST", "/api/v1/syncs", headers, body)]), clients=1)
