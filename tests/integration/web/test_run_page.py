"""The run page and the account page: what waits, what was done about it, and what people may do."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from stores.sql.tokens import Role
from tests.integration.web.conftest import Site
from tests.integration.web.runs import hold_removals
from tests.integration.web.test_dashboard import act


@pytest.fixture
def browser(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.base_url, timeout=30, follow_redirects=True) as client:
        yield client


def test_what_waits_is_shown_and_approved_by_a_click(browser: httpx.Client, site: Site) -> None:
    plan_hash = hold_removals(site.stores).plan_hash or ""
    page = browser.get("/runs/held").text
    assert "What waits for a person" in page
    assert "2 removals are held back" in page
    assert "held back</strong>" in page

    done = act(browser, "approve_run", "/runs/held", run_id="held", plan_hash=plan_hash)
    assert "2 changes are written." in done.text
    assert set(site.stores.mirror.read_removed_games(["game-1", "game-2"])) == {"game-1", "game-2"}
    again = act(browser, "approve_run", "/runs/held", run_id="held", plan_hash=plan_hash)
    assert "It was approved before: nothing was written now." in again.text
    assert "approved</strong> by dashboard:local" in browser.get("/runs/held").text
    acts = [line.action for line in site.stores.audit.list(limit=10).items]
    assert acts == ["runs_approve"]


def test_a_run_is_taken_back_by_a_click(browser: httpx.Client, site: Site) -> None:
    hold_removals(site.stores)
    assert "1 change is taken back." in act(browser, "undo_run", "/runs/held", run_id="held").text
    assert site.stores.mirror.find_games(["game-3"])["game-3"].round == "Round 3"
    assert "Nothing is left to take back." in act(browser, "undo_run", "/runs/held", run_id="held").text


def test_a_rejected_plan_says_by_whom(browser: httpx.Client, site: Site) -> None:
    plan_hash = hold_removals(site.stores).plan_hash or ""
    page = act(browser, "reject_run", "/runs/held", run_id="held", plan_hash=plan_hash)
    assert "The plan is rejected by dashboard:local." in page.text


def test_who_only_reads_sees_no_button(site: Site) -> None:
    hold_removals(site.stores)
    with site.client(Role.READ) as reader:
        page = reader.get("/runs/held").text
    assert "What waits for a person" in page
    assert "/acts/approve_run" not in page


def test_the_difference_is_filtered_by_record_and_action(browser: httpx.Client, site: Site) -> None:
    hold_removals(site.stores)
    page = browser.get("/runs/held", params={"kind": "game", "action": "updated"}).text
    assert "game-3" in page
    assert "game-1" not in page


def test_the_account_page_tells_freshness_and_its_whole_story(browser: httpx.Client, site: Site) -> None:
    hold_removals(site.stores)
    page = browser.get("/accounts/1").text
    assert "what a guard held back waits for a person" in page
    assert "Fresh" in page
    assert 'name="restart"' in page
    assert "club sync, full: asked for" in page
    assert "game game-3 updated: round" in page
