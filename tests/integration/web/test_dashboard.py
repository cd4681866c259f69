"""The dashboard as a browser without JavaScript uses it: pages to read, forms that ask first."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from brokers.queues import Priority
from stores.sql.tokens import Role
from sync.clock import SystemClock
from sync.incident import Alert, Incident, Severity
from sync.ports import Progressed
from sync.report import RunState, Stage
from tests.integration.web.conftest import Site
from tests.integration.web.runs import a_run

PAGES = (
    "/",
    "/queues",
    "/dead",
    "/accounts",
    "/accounts/1",
    "/runs",
    "/batches",
    "/workers",
    "/schedules",
    "/config",
    "/audit",
)
HTML = {"Accept": "text/html"}


@pytest.fixture
def browser(site: Site) -> Iterator[httpx.Client]:
    """On this machine, keeping cookies."""
    with httpx.Client(base_url=site.base_url, headers=HTML, timeout=30) as browser:
        yield browser


def csrf_of(page: httpx.Response) -> str:
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def act(browser: httpx.Client, verb: str, page: str, /, **fields: Any) -> httpx.Response:
    """Load a page, send one of its forms, and confirm."""
    csrf = csrf_of(browser.get(page))
    asked = browser.post(f"/acts/{verb}", data={"csrf": csrf, **fields})
    assert "Yes" in asked.text
    return browser.post(
        f"/acts/{verb}", data={"csrf": csrf, **fields, "confirmed": "yes"}, follow_redirects=True
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_page_can_be_read(browser: httpx.Client, page: str) -> None:
    answer = browser.get(page)
    assert answer.status_code == 200
    assert "<h1" in answer.text
    # The content security policy would block them without a word.
    assert " style=" not in answer.text
    assert "<script>" not in answer.text


def test_the_list_of_accounts_says_how_old_each_is(site: Site, browser: httpx.Client) -> None:
    assert browser.get("/accounts").text.count("never synced whole") == 2
    at = SystemClock().now() - timedelta(hours=3)
    site.stores.runs.save(a_run("whole", requested_at=at, started_at=at, finished_at=at))
    page = browser.get("/accounts").text
    assert page.count("never synced whole") == 1
    assert "<td>3 h" in page


def test_the_filters_forms_work_with_fields_left_empty(browser: httpx.Client) -> None:
    for page in ("/accounts?q=&type=&tag=", "/runs?state=&mode=&account_id=", "/dead?queue=&q="):
        assert browser.get(page).status_code == 200


def test_an_unknown_page_and_a_mistake_are_pages_too(browser: httpx.Client) -> None:
    for page, status in (
        ("/nothing", 404),
        ("/accounts/99", 404),
        ("/runs/none", 404),
        ("/runs?state=x", 422),
    ):
        answer = browser.get(page)
        assert answer.status_code == status
        assert answer.headers["content-type"].startswith("text/html")


def test_a_sync_is_asked_for_and_its_account_says_why_it_waits(browser: httpx.Client, site: Site) -> None:
    page = act(browser, "sync", "/accounts/1", account_id="1", mode="club", preset="quick", priority="")
    assert "Queued." in page.text
    assert site.waiting() == 1
    assert "No worker lives" in browser.get("/accounts/1").text
    (line,) = site.stores.audit.list(limit=5).items
    assert (line.source, line.actor, line.action) == ("dashboard", "local", "sync_club")


def test_a_queue_is_paused_and_the_overview_says_by_whom(browser: httpx.Client, site: Site) -> None:
    page = act(browser, "pause_queue", "/queues", name="syncs")
    assert "syncs is paused" in page.text
    assert "syncs is paused by local" in browser.get("/").text
    assert site.operations.queue("syncs").is_paused


def test_an_open_incident_is_the_verdict_with_its_next_step(browser: httpx.Client, site: Site) -> None:
    now = site.services.clock.now()
    alert = Alert(
        kind="channel_refuses",
        severity=Severity.ERROR,
        what="slack refuses notices.",
        step="Mend its settings.",
        since=now,
        is_open=True,
    )
    site.stores.incidents.save(
        Incident(
            id="i1",
            key="channel:slack",
            severity=Severity.ERROR,
            title=alert.what,
            party=None,
            alerts=(alert,),
            first_seen_at=now,
            seen_at=now,
            opened_at=now,
        )
    )
    verdict = browser.get("/").text.partition("<dl")[0]
    assert 'class="verdict act"' in verdict
    assert "slack refuses notices. Mend its settings." in verdict
    assert f'datetime="{now:%Y-%m-%dT%H:%M:%S}Z"' in verdict
    assert 'href="/config"' in verdict


def test_a_running_sync_shows_how_far_it_is_and_what_is_left(browser: httpx.Client, site: Site) -> None:
    run_id = browser.post("/api/v1/syncs", json={"mode": "club", "id": 1}).json()["run_id"]
    run = site.stores.runs.find(run_id)
    site.stores.runs.save(replace(run, state=RunState.RUNNING, started_at=site.services.clock.now()))
    site.progress.publish(
        Progressed(run_id=run_id, stage=Stage.GAMES, done=3, total=8, records=120, eta_s=75.0)
    )
    assert "3/8, 120 records, about 1 min 15 s left" in browser.get("/").text


def kill_two(browser: httpx.Client, site: Site) -> str:
    """Two syncs die of the same error; the id of their group."""
    for account_id, mode in ((1, "club"), (2, "association")):
        browser.post("/api/v1/syncs", json={"mode": mode, "id": account_id})
        site.kill("syncs")
    (group,) = browser.get("/api/v1/dead/groups").json()["items"]
    assert group["count"] == 2
    return str(group["id"])


def test_dead_letters_of_one_error_are_retried_together(browser: httpx.Client, site: Site) -> None:
    group = kill_two(browser, site)
    assert "<strong>2</strong>" in browser.get("/dead").text
    done = act(browser, "mass_retry", "/dead", error=group)
    assert "of 2 are sent again" in done.text
    site.services.mass_retries.drive("test")
    assert site.waiting() == 2
    assert "2 on their way" in browser.get("/dead").text


def test_dead_letters_of_one_error_are_deleted_together(browser: httpx.Client, site: Site) -> None:
    group = kill_two(browser, site)
    done = act(browser, "delete_group", "/dead", error=group)
    assert "2 dead letters are deleted; 2 runs cancelled." in done.text
    assert "There are none" in browser.get("/dead").text


def test_a_dead_letter_is_sent_again_with_another_payload(browser: httpx.Client, site: Site) -> None:
    browser.post("/api/v1/syncs", json={"mode": "club", "id": 1})
    dead = site.kill("syncs")
    page = browser.get(f"/dead/{dead}").text
    assert "the provider answered 503" in page
    done = act(
        browser, "edit_dead", f"/dead/{dead}", id=dead, arguments='{"preset": "quick"}', priority="urgent"
    )
    assert "as written" in done.text
    assert site.operations.queue("syncs").waiting[Priority.URGENT] == 1


@pytest.mark.parametrize("arguments", ["{", "[]", '{"account_id": "x"}', '{"preset": "fast"}'])
def test_a_payload_that_would_be_refused_stays_dead(
    browser: httpx.Client, site: Site, arguments: str
) -> None:
    browser.post("/api/v1/syncs", json={"mode": "club", "id": 1})
    dead = site.kill("syncs")
    fields = {"csrf": csrf_of(browser.get(f"/dead/{dead}")), "id": dead, "arguments": arguments}
    assert browser.post("/acts/edit_dead", data={**fields, "confirmed": "yes"}).status_code == 422
    assert site.waiting() == 0


@pytest.mark.parametrize("age", ["the last hour", "the last day", "the last week", "more than a week ago"])
def test_dead_letters_are_narrowed_by_age(browser: httpx.Client, site: Site, age: str) -> None:
    kill_two(browser, site)
    found = "2 of 2 match" in browser.get("/dead", params={"age": age}).text
    assert found == (age != "more than a week ago")


def test_nothing_is_done_without_the_pages_own_secret(browser: httpx.Client, site: Site) -> None:
    browser.get("/queues")
    for csrf in ("", "guessed"):
        answer = browser.post("/acts/pause_queue", data={"csrf": csrf, "name": "syncs", "confirmed": "yes"})
        assert answer.status_code == 403
    assert not site.operations.queue("syncs").is_paused


def test_a_form_of_another_site_is_refused(browser: httpx.Client, site: Site) -> None:
    csrf = csrf_of(browser.get("/queues"))
    answer = browser.post(
        "/acts/pause_queue",
        data={"csrf": csrf, "name": "syncs", "confirmed": "yes"},
        headers={"Origin": "https://elsewhere.example"},
    )
    assert answer.status_code == 403
    assert not site.operations.queue("syncs").is_paused


class TestSignedIn:
    def sign_in(self, browser: httpx.Client, secret: str) -> httpx.Response:
        csrf = csrf_of(browser.get("/login"))
        return browser.post("/login?next=/runs", data={"csrf": csrf, "token": secret})

    def test_somebody_unknown_is_sent_to_the_door(self, browser: httpx.Client, site: Site) -> None:
        site.secret(Role.READ)
        answer = browser.get("/runs")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2Fruns")

    def test_a_token_opens_a_session_and_revoking_ends_it(self, browser: httpx.Client, site: Site) -> None:
        token, secret = site.tokens.issue("ann", Role.OPERATE)
        site.secret(Role.ADMIN)
        answer = self.sign_in(browser, secret)
        assert (answer.status_code, answer.headers["location"]) == (303, "/runs")
        assert "httponly" in answer.headers["set-cookie"].lower()
        assert "ann (operate): sign out" in browser.get("/runs").text
        site.tokens.revoke(token.id)
        assert browser.get("/runs").status_code == 303

    def test_a_wrong_token_opens_nothing(self, browser: httpx.Client, site: Site) -> None:
        site.secret(Role.READ)
        answer = self.sign_in(browser, "cs_wrong_one")
        assert answer.status_code == 403
        assert browser.get("/runs").status_code == 303

    def test_signing_out_ends_the_session(self, browser: httpx.Client, site: Site) -> None:
        self.sign_in(browser, site.secret(Role.READ))
        csrf = csrf_of(browser.get("/runs"))
        browser.post("/logout", data={"csrf": csrf})
        assert browser.get("/runs").status_code == 303

    @pytest.mark.parametrize("target", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere"])
    def test_signing_in_leads_to_no_other_site(self, browser: httpx.Client, site: Site, target: str) -> None:
        secret = site.secret(Role.READ)
        csrf = csrf_of(browser.get("/login"))
        answer = browser.post("/login", params={"next": target}, data={"csrf": csrf, "token": secret})
        assert answer.headers["location"] == "/"

    def test_a_reader_sees_no_buttons_and_may_press_none(self, browser: httpx.Client, site: Site) -> None:
        self.sign_in(browser, site.secret(Role.READ))
        page = browser.get("/queues")
        assert "/acts/" not in page.text
        fields = {"csrf": csrf_of(page), "name": "syncs", "confirmed": "yes"}
        assert browser.post("/acts/pause_queue", data=fields).status_code == 403
        assert browser.get("/audit").status_code == 403
