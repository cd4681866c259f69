"""The pages over a busy year's records: how long the server takes, and how much a first view loads."""

from __future__ import annotations

import re
import time
from statistics import median

import httpx

from benchmarks.web.report import Row
from benchmarks.web.site import Site
from stores.sql.tokens import Role
from web.live import READ_EVERY_S

ROUNDS = 9
# What is kept for several watchers has lapsed by then.
APART_S = READ_EVERY_S + 0.1
PAGES = {
    "overview": "/",
    "accounts": "/accounts",
    "accounts, by name": "/accounts?q=club+99",
    "runs": "/runs",
    "runs, failed": "/runs?state=failed",
    "dead letters": "/dead",
    "dead letters of an account": "/dead?account_id=77",
    "queues": "/queues",
    "an account": "/accounts/77",
}
LOADED = re.compile(r'(?:href|src)="(/static/[^"]+)"')


def measure(site: Site) -> list[Row]:
    """Each page `ROUNDS` times over one connection; the time holds the way over loopback too."""
    headers = {"Authorization": f"Bearer {site.token(Role.ADMIN)}", "Accept": "text/html"}
    with httpx.Client(base_url=site.base_url, headers=headers, timeout=60) as client:
        # The index of the dead letters is made in the background when the process starts.
        client.get("/dead").raise_for_status()
        rows = [
            Row(f"page: {name}", "ms, median", _median_ms(client, path), must="< 100")
            for name, path in PAGES.items()
        ]
        return [*rows, Row("first view of the overview", "kB", _first_view_kb(client), must="< 200")]


def _median_ms(client: httpx.Client, path: str) -> float:
    client.get(path).raise_for_status()
    times_s = []
    for _ in range(ROUNDS):
        time.sleep(APART_S)
        began_s = time.perf_counter()
        client.get(path)
        times_s.append(time.perf_counter() - began_s)
    return median(times_s) * 1000


def _first_view_kb(client: httpx.Client) -> float:
    """What a browser without a cache loads, as it goes over the wire."""
    page = client.get("/")
    paths = [*dict.fromkeys(LOADED.findall(page.text)), "/series.json"]
    answers = [page, *(client.get(path) for path in paths)]
    for answer in answers:
        answer.raise_for_status()
    return sum(answer.num_bytes_downloaded for answer in answers) / 1000
