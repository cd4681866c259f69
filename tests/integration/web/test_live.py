"""The stream that tells pages that there is something new."""

from __future__ import annotations

import threading

import httpx

from stores.sql.tokens import Role
from tests.conftest import Eventually
from tests.integration.web.conftest import Site


def read_on(client: httpx.Client, into: list[str]) -> None:
    with client.stream("GET", "/live") as stream:
        into.extend(line for line in stream.iter_lines() if line.startswith("data: "))


def test_an_order_is_told_to_whoever_watches(site: Site, eventually: Eventually) -> None:
    told: list[str] = []
    with site.client() as watching, site.client() as client:
        watcher = threading.Thread(target=read_on, args=(watching, told))
        watcher.start()
        eventually(lambda: len(told) >= 2)
        before = len(told)
        client.post("/api/v1/syncs", json={"mode": "club", "id": 1})
        eventually(lambda: len(told) > before)
        site.stop()
        watcher.join(30)
        assert not watcher.is_alive()


def test_the_stream_needs_a_token_where_there_is_one(site: Site) -> None:
    site.secret(Role.READ)
    with site.client() as client:
        assert client.get("/live").status_code == 401
