from __future__ import annotations

import asyncio
import base64
import json

import httpx
import pytest

from stores.sql.tokens import Role
from tests.conftest import Eventually
from tests.integration.web.conftest import Site

ORDER = {"mode": "club", "id": 1}


class TestWithoutAnyToken:
    def test_this_machine_may_do_everything(self, client: httpx.Client) -> None:
        assert client.post("/api/v1/syncs", json=ORDER).status_code == 202

    @pytest.mark.parametrize(
        "headers",
        [
            {"X-Forwarded-For": "127.0.0.1"},
            {"X-Forwarded-For": "203.0.113.9"},
            {"Forwarded": "for=127.0.0.1"},
            {"X-Real-IP": "127.0.0.1"},
            {"Host": "rebound.example"},
        ],
    )
    def test_what_a_proxy_or_another_name_brings_is_not_from_here(
        self, client: httpx.Client, headers: dict[str, str]
    ) -> None:
        answer = client.post("/api/v1/syncs", json=ORDER, headers=headers)
        assert answer.status_code == 403
        assert "clubsync tokens add" in answer.json()["detail"]

    @pytest.mark.parametrize("peer", ["203.0.113.9", "10.0.0.2", "::ffff:203.0.113.9", "fe80::1"])
    def test_another_machine_is_refused_whatever_it_claims(self, site: Site, peer: str) -> None:
        async def ask(headers: dict[str, str]) -> int:
            transport = httpx.ASGITransport(site.app, client=(peer, 50000))
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as remote:
                return (await remote.get("/api/v1/syncs/x", headers=headers)).status_code

        for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"Host": "localhost"}):
            assert asyncio.run(ask(headers)) == 403

    @pytest.mark.parametrize(
        "headers", [{"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}]
    )
    def test_a_page_elsewhere_cannot_act_through_the_browser(
        self, client: httpx.Client, headers: dict[str, str]
    ) -> None:
        assert client.post("/api/v1/syncs", json=ORDER, headers=headers).status_code == 403

    def test_a_token_that_never_was_is_refused_even_here(self, client: httpx.Client) -> None:
        answer = client.get("/api/v1/syncs/x", headers={"Authorization": "Bearer cs_a_b"})
        assert answer.status_code == 401


class TestWithATokenConfigured:
    def test_nothing_is_served_without_one(self, site: Site, client: httpx.Client) -> None:
        site.secret(Role.READ)
        answer = client.get("/api/v1/syncs/x")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")

    @pytest.mark.parametrize("authorization", ["Bearer", "Basic YTpi", "Bearer cs_x", "cs_x"])
    def test_what_is_not_its_secret_is_refused(self, site: Site, authorization: str) -> None:
        site.secret(Role.ADMIN)
        with site.client() as client:
            answer = client.get("/api/v1/syncs/x", headers={"Authorization": authorization})
        assert answer.status_code == 401

    def test_a_revoked_token_is_refused_a_moment_later(self, site: Site, eventually: Eventually) -> None:
        token, secret = site.tokens.issue("ci", Role.READ)
        site.secret(Role.ADMIN)
        with site.client() as client:
            headers = {"Authorization": f"Bearer {secret}"}
            assert client.get("/api/v1/syncs/x", headers=headers).status_code == 404
            site.tokens.revoke("ci")
            eventually(lambda: client.get("/api/v1/syncs/x", headers=headers).status_code == 401)
        assert token.name == "ci"

    def test_the_probes_of_a_platform_need_none(self, site: Site, client: httpx.Client) -> None:
        site.secret(Role.READ)
        assert client.get("/health/live").status_code == 200
        assert client.get("/health/ready").status_code == 200
        assert client.get("/health").status_code == 401


def test_answers_carry_the_security_headers(client: httpx.Client) -> None:
    for path in ("/health/live", "/nowhere", "/docs", "/static/docs.js"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "[::1"},
        {"Host": "127.0.0.1:99999999"},
        {"Host": ""},
        {"Origin": "http://[::1"},
        {"Cookie": 'clubsync_session="cs_\\000_x"'},
        {"Authorization": "Bearer " + "a" * 9000},
    ],
)
def test_headers_that_make_no_sense_are_no_fault_of_ours(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    for answer in (
        client.get("/api/v1/queues", headers=headers),
        client.post("/api/v1/syncs", headers=headers),
    ):
        assert answer.status_code < 500


def test_a_flood_of_headers_is_refused(client: httpx.Client) -> None:
    headers = {f"X-{number}": "a" * 1000 for number in range(80)}
    assert client.get("/api/v1/queues", headers=headers).status_code == 431


@pytest.mark.parametrize(
    "cursor", [[10**30, "a"], ["9999-12-31T23:59:59-23:59", "a"], ["2031-10-18T00:00:00Z", "\x00"]]
)
@pytest.mark.parametrize("path", ["runs", "accounts", "dead"])
def test_a_cursor_of_ones_own_making_is_a_mistake_or_finds_nothing(
    client: httpx.Client, path: str, cursor: list[object]
) -> None:
    made_up = base64.urlsafe_b64encode(json.dumps(cursor).encode()).decode()
    assert client.get(f"/api/v1/{path}", params={"cursor": made_up}).status_code in (200, 422)


def test_json_without_end_to_its_depth_is_a_mistake(client: httpx.Client) -> None:
    deep = b'{"a":' * 100_000
    assert client.post("/api/v1/accounts/import", content=deep).status_code in (400, 422)
