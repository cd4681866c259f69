"""`POST /syncs`: how many orders one web process takes, and how soon it answers each."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import count as count_from
from itertools import islice
from statistics import median, quantiles

from benchmarks.web.load import Answered, ask_all, request_bytes
from benchmarks.web.report import Row
from benchmarks.web.site import Site
from stores.sql.tokens import Role

CLIENTS = 50
WARM_UP = 300
PACE = 800
PATH = "/api/v1/syncs"


def measure(site: Site, count: int) -> list[Row]:
    """Order syncs of `2 * count + WARM_UP` accounts, flat out and then at the rate that must hold."""
    token = site.token(Role.SEND)
    orders = _orders(token)
    _ask(site, islice(orders, WARM_UP))
    cpu_before_s = site.cpu_s()
    flat_out = _ask(site, islice(orders, count))
    cpu_ms = (site.cpu_s() - cpu_before_s) / count * 1000
    paced = _ask(site, islice(orders, count), per_s=PACE)
    return [
        Row("`POST /syncs`, 50 clients, flat out", "orders a second", flat_out.rate, must=f">= {PACE}"),
        Row("`POST /syncs`, processor time of web", "ms an order", cpu_ms, must="<= 1.0"),
        Row(f"`POST /syncs`, 50 clients, {PACE} a second", "ms, median", _median_ms(paced), must="< 10"),
        Row(f"`POST /syncs`, 50 clients, {PACE} a second", "ms, p99", _p99_ms(paced)),
        # With 50 always on their way, no server that takes fewer than 5,000 a second can answer in 10 ms.
        Row("`POST /syncs`, 50 clients, flat out", "ms, median", _median_ms(flat_out)),
    ]


def _ask(site: Site, orders: Iterator[bytes], per_s: float | None = None) -> Answered:
    answered = ask_all("127.0.0.1", site.port, orders, clients=CLIENTS, per_s=per_s)
    if set(answered.statuses) != {202}:
        raise RuntimeError(f"not every order was accepted: {answered.statuses}")
    return answered


def _median_ms(answered: Answered) -> float:
    return median(answered.latencies_s) * 1000


def _p99_ms(answered: Answered) -> float:
    return quantiles(answered.latencies_s, n=100)[98] * 1000


def _orders(token: str) -> Iterator[bytes]:
    """Each of another account."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for account in count_from(1):
        yield request_bytes("POST", PATH, headers, json.dumps({"mode": "club", "id": account}).encode())
