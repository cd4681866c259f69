from __future__ import annotations

import dataclasses
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from brokers.queues import Priority
from stores.sql.accounts import NewAccount
from sync.model import OrganisationKind
from sync.ports import Progressed
from sync.report import RunState, Stage
from tests.conftest import Eventually
from tests.integration.web.conftest import CLUB_ID, Site

SYNCS = "/api/v1/syncs"


def order(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post(SYNCS, json=body)


def test_an_order_is_queued_and_answers_the_runs_address(client: httpx.Client, site: Site) -> None:
    answer = order(client, mode="club", id=1, preset="quick", priority="urgent", dry_run=True)
    assert answer.status_code == 202
    assert site.operations.queue("syncs").waiting[Priority.URGENT] == 1
    run = client.get(answer.headers["location"]).json()
    assert run["id"] == answer.json()["run_id"]
    assert (run["mode"], run["account_id"], run["preset"]) == ("club", 1, "quick")
    assert (run["state"], run["outcome"], run["dry_run"]) == ("queued", None, True)
    assert run["requested_at"].endswith("Z")
    assert run["requests"].keys() >= {"sent", "cache_hits", "retried", "throttled"}


def test_a_second_order_for_the_account_names_the_run_there_is(client: httpx.Client, site: Site) -> None:
    first = order(client, mode="club", id=1).json()
    second = order(client, mode="club", id=1).json()
    assert (first["is_coalesced"], second["is_coalesced"]) == (False, True)
    assert first["run_url"] == second["run_url"]
    assert site.waiting() == 1


@pytest.mark.parametrize("body", [{"mode": "club", "direct": True}, {"mode": "club_direct"}])
def test_a_direct_sync_takes_an_organisations_id(
    client: httpx.Client, site: Site, body: dict[str, Any]
) -> None:
    answer = order(client, id=CLUB_ID.upper(), **body)
    assert answer.status_code == 202
    assert site.operations.queue("direct").depth == 1
    run = client.get(answer.headers["location"]).json()
    assert (run["mode"], run["organisation_id"]) == ("club_direct", CLUB_ID)


def test_every_mistake_is_listed_at_once(client: httpx.Client, site: Site) -> None:
    answer = order(client, mode="club", id="x", preset="fast", priority="now", dry_run="yes", speed=9)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    pointers = {mistake["pointer"] for mistake in problem["errors"]}
    assert pointers == {"/id", "/preset", "/priority", "/dry_run", "/speed"}
    assert "data-only, full, minimal, quick" in answer.text
    assert site.waiting() == 0


def test_an_unknown_account_is_not_found(client: httpx.Client) -> None:
    answer = order(client, mode="club", id=99)
    assert (answer.status_code, answer.json()["detail"]) == (404, "account 99 does not exist")


def test_an_account_of_the_other_kind_is_a_mistake(client: httpx.Client, site: Site) -> None:
    answer = order(client, mode="club", id=2)
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/id", "detail": "account 2 is an association, not a club"}
    ]
    assert site.waiting() == 0


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"mode=club&id=1", "application/x-www-form-urlencoded", 415),
        (b'{"mode": "club", "id": 1}', "text/plain", 415),
    ],
)
def test_what_is_no_json_order_is_refused(
    client: httpx.Client, content: bytes, media_type: str, status: int
) -> None:
    answer = client.post(SYNCS, content=content, headers={"Content-Type": media_type})
    assert answer.status_code == status
    assert answer.json()["status"] == status


def test_a_body_without_end_is_cut_off(client: httpx.Client) -> None:
    def endless() -> Any:
        for _ in range(64):
            yield b" " * 65536

    answer = client.post(SYNCS, content=endless(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413


class TestIdempotencyKey:
    def test_the_same_order_again_gets_the_same_answer(self, client: httpx.Client, site: Site) -> None:
        headers = {"Idempotency-Key": "signup-17"}
        body = {"mode": "club", "id": 1}
        first = client.post(SYNCS, json=body, headers=headers)
        site.broker.purge("syncs", "waiting")
        second = client.post(SYNCS, json=body, headers=headers)
        assert first.json() == second.json()
        assert second.headers["location"] == first.headers["location"]
        assert site.waiting() == 0

    def test_another_order_under_the_same_key_is_a_mistake(self, client: httpx.Client) -> None:
        headers = {"Idempotency-Key": "k"}
        client.post(SYNCS, json={"mode": "club", "id": 1}, headers=headers)
        answer = client.post(SYNCS, json={"mode": "update", "id": 1}, headers=headers)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"

    def test_a_refused_order_leaves_its_key_free(self, client: httpx.Client) -> None:
        headers = {"Idempotency-Key": "k"}
        assert client.post(SYNCS, json={"mode": "club", "id": 9}, headers=headers).status_code == 404
        assert client.post(SYNCS, json={"mode": "club", "id": 1}, headers=headers).status_code == 202


def read_events(client: httpx.Client, run_id: str, into: list[tuple[str, Any]]) -> None:
    with client.stream("GET", f"{SYNCS}/{run_id}/events") as stream:
        name = ""
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                into.append((name, json.loads(value)))


def test_progress_streams_until_the_run_has_ended(
    client: httpx.Client, site: Site, eventually: Eventually
) -> None:
    run_id = order(client, mode="club", id=1).json()["run_id"]
    events: list[tuple[str, Any]] = []
    reader = threading.Thread(target=read_events, args=(client, run_id, events))
    reader.start()
    eventually(lambda: any(name == "run" for name, _ in events))

    progressed = Progressed(run_id=run_id, stage=Stage.GAMES, done=3, total=8, records=120, eta_s=2.5)
    site.progress.publish(progressed)
    told = {"stage": "games", "done": 3, "total": 8, "records": 120, "eta_s": 2.5}
    eventually(lambda: ("progress", told) in events)
    assert client.get(f"{SYNCS}/{run_id}").json()["progress"] == [told]

    run = site.stores.runs.find(run_id)
    site.stores.runs.save(dataclasses.replace(run, state=RunState.SUCCEEDED, finished_at=datetime.now(UTC)))
    reader.join(30)
    assert not reader.is_alive()
    assert [name for name, _ in events] == ["run", "progress", "end"]
    assert events[-1][1]["outcome"] == "succeeded"


def test_the_events_of_an_unknown_run_are_not_found(client: httpx.Client) -> None:
    assert client.get(f"{SYNCS}/nothing/events").status_code == 404


def test_an_open_stream_does_not_hold_up_the_end(
    client: httpx.Client, site: Site, eventually: Eventually
) -> None:
    run_id = order(client, mode="club", id=1).json()["run_id"]
    events: list[tuple[str, Any]] = []
    reader = threading.Thread(target=read_events, args=(client, run_id, events))
    reader.start()
    eventually(lambda: events)
    site.stop()
    reader.join(30)
    assert not reader.is_alive()


class TestTogether:
    """Orders of many callers at the same time are carried out in groups."""

    def test_each_gets_its_own_run_and_leaves_its_own_line(self, site: Site) -> None:
        add_clubs(site, 40)
        with ThreadPoolExecutor(20) as threads, site.client() as client:
            answers = list(threads.map(lambda number: order(client, mode="club", id=number), range(3, 43)))
        assert {answer.status_code for answer in answers} == {202}
        runs = [site.stores.runs.find(answer.json()["run_id"]) for answer in answers]
        assert [run.account_id for run in runs] == list(range(3, 43))
        lines = site.stores.audit.list(limit=100).items
        assert {line.subject for line in lines} == {f"account:{number}" for number in range(3, 43)}

    def test_of_one_account_all_but_one_are_coalesced(self, site: Site) -> None:
        with ThreadPoolExecutor(20) as threads, site.client() as client:
            answers = list(threads.map(lambda _: order(client, mode="club", id=1).json(), range(40)))
        assert [answer["is_coalesced"] for answer in answers].count(False) == 1
        assert len({answer["run_id"] for answer in answers}) == 1
        assert site.waiting() == 1

    def test_a_refused_one_takes_no_other_with_it(self, site: Site) -> None:
        add_clubs(site, 20)
        ids = [1, 99, 2, *range(3, 23)]  # 99 does not exist, 2 is no club
        with ThreadPoolExecutor(20) as threads, site.client() as client:
            answers = list(threads.map(lambda number: order(client, mode="club", id=number), ids))
        assert [answer.status_code for answer in answers] == [202, 404, 422, *[202] * 20]

    def test_one_key_used_at_the_same_time_orders_once(self, site: Site) -> None:
        headers = {"Idempotency-Key": "signup-18"}
        body = {"mode": "club", "id": 1}
        with ThreadPoolExecutor(10) as threads, site.client() as client:
            answers = list(threads.map(lambda _: client.post(SYNCS, json=body, headers=headers), range(20)))
        assert {answer.status_code for answer in answers} <= {202, 409}
        accepted = [answer.json() for answer in answers if answer.status_code == 202]
        assert len({answer["message_id"] for answer in accepted}) == 1
        assert not any(answer["is_coalesced"] for answer in accepted)


def add_clubs(site: Site, count: int) -> None:
    site.stores.accounts.add_many(
        [
            NewAccount(
                kind=OrganisationKind.CLUB, name=f"Club {n}", provider="playhq", organisation_id=f"club-{n}"
            )
            for n in range(count)
        ]
    )


def test_a_client_that_stops_in_the_middle_of_a_long_body_hears_why_it_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.limits.MAX_DRAINED_S", 0.2)
    address = urlsplit(site.base_url)
    fields = f"Host: {address.netloc}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked"
    head = f"POST {SYNCS} HTTP/1.1\r\n{fields}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode() + b"%x\r\n%s\r\n" % (2_000_000, b"x" * 2_000_000))
        assert connection.recv(12) == b"HTTP/1.1 413"


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_client_that_sends_all_of_a_long_body_first_hears_why_it_is_refused(
    site: Site, *, is_announced: bool
) -> None:
    body = b"x" * 5_000_000
    length = f"Content-Length: {len(body)}" if is_announced else "Transfer-Encoding: chunked"
    sent = body if is_announced else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    address = urlsplit(site.base_url)
    fields = f"Host: {address.netloc}\r\nContent-Type: application/json\r\n{length}"
    head = f"POST {SYNCS} HTTP/1.1\r\n{fields}\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        connection.sendall(head.encode() + sent)
        assert connection.recv(12) == b"HTTP/1.1 413"
