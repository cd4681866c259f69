"""Over real sockets: keep-alive, latency, faults on the wire, limits of the server."""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from simulator.app import Simulator
from simulator.running import running


@pytest.fixture
def listing(simulator: Simulator) -> str:
    return f"/v1/organisations/{simulator.world.association(0).id}/seasons"


def test_answers_arrive_whole_over_one_connection(http: httpx.Client, listing: str) -> None:
    first, second = http.get(listing), http.get(listing)
    assert first.json() == second.json()
    assert first.headers["content-type"] == "application/json; charset=utf-8"
    assert http.get(listing, headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert http.get("/_simulator/stats").json()["requests"] == 3


def test_latency_does_not_block_others(http: httpx.Client, listing: str) -> None:
    http.post("/_simulator/faults", json={"kind": "latency", "latency_s": 0.3})
    started = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        statuses = [answer.status_code for answer in pool.map(lambda _: http.get(listing), range(8))]
    assert time.monotonic() - started >= 0.3
    assert statuses == [200] * 8
    assert http.get("/_simulator/stats").json()["max_in_flight"] > 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [("reset", httpx.ReadError), ("dropped", httpx.ReadError), ("cut", httpx.RemoteProtocolError)],
)
def test_broken_connections_break(
    http: httpx.Client, listing: str, kind: str, error: type[Exception]
) -> None:
    http.post("/_simulator/faults", json={"kind": kind, "count": 1})
    with pytest.raises(error):
        http.get(listing)
    assert http.get(listing).status_code == 200
    assert http.get("/_simulator/stats").json()["by_fault"] == {kind: 1}


def test_slow_answers_drip_and_arrive(http: httpx.Client, listing: str) -> None:
    whole = http.get(listing).content
    http.post("/_simulator/faults", json={"kind": "slow", "latency_s": 0.2})
    started = time.monotonic()
    assert http.get(listing).content == whole
    assert time.monotonic() - started >= 0.2


def test_idle_connections_are_closed_when_asked(simulator: Simulator, listing: str) -> None:
    request = f"GET {listing} HTTP/1.1\r\nHost: x\r\nx-api-key: a\r\nx-phq-tenant: ca\r\n\r\n".encode()
    with running(simulator, keep_alive_s=0.05) as address:
        url = httpx.URL(address)
        with socket.create_connection((url.host, url.port or 80), timeout=30) as raw:
            raw.sendall(request)
            assert b"".join(iter(lambda: raw.recv(65536), b"")).startswith(b"HTTP/1.1 200 OK")


def test_the_log_has_every_request_with_its_time(http: httpx.Client, listing: str) -> None:
    before = time.time()
    http.get(listing)
    (entry,) = http.get("/_simulator/log").json()
    assert (entry["target"], entry["endpoint"], entry["status"]) == (listing, "seasons", 200)
    assert before - 0.1 <= entry["at_s"] <= time.time()


def test_a_head_that_is_too_long_is_refused(http: httpx.Client) -> None:
    answer = http.get("/v1/" + "x" * 20_000)
    assert (answer.status_code, answer.content) == (431, b"")


def test_nonsense_is_a_bad_request(http: httpx.Client) -> None:
    with socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=30) as raw:
        raw.sendall(b"nonsense\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 400")


def test_requests_in_pieces_and_in_a_row_are_understood(http: httpx.Client, listing: str) -> None:
    request = f"GET {listing} HTTP/1.1\r\nHost: x\r\nx-api-key: a\r\nx-phq-tenant: ca\r\n\r\n".encode()
    with socket.create_connection((http.base_url.host, http.base_url.port or 80), timeout=30) as raw:
        raw.sendall(request[:20])
        raw.sendall(request[20:] + request)
        raw.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: raw.recv(65536), b""))
    assert received.count(b"HTTP/1.1 200 OK") == 2
