"""The dashboard as people use it: at both widths, in both themes, live, asking before it acts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from sync.report import Mode, Run, RunState
from tests.browser.conftest import keep_screenshot
from tests.integration.web.conftest import Site
from tests.integration.web.test_dashboard import PAGES

pytestmark = pytest.mark.browser

WIDE = (1280, 900)
PHONE = (390, 844)
A_RUN = Run(
    id="r9",
    mode=Mode.CLUB,
    preset="full",
    state=RunState.RUNNING,
    requested_at=datetime(2031, 10, 18, tzinfo=UTC),
    started_at=datetime(2031, 10, 18, tzinfo=UTC),
    account_id=1,
)


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_page_fits_its_screen_and_suits_everybody_in_both_themes(
    browser: Browser, site: Site, complaints: list[str], size: tuple[int, int]
) -> None:
    width, height = size
    context = browser.new_context(base_url=site.base_url, viewport={"width": width, "height": height})
    page = context.new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    site.operations.pause("syncs")
    site.stores.runs.save(A_RUN)
    site.services.trends.mark_once("clubsync 9.9 started", datetime.now(UTC).timestamp())
    for address in (*PAGES, f"/runs/{A_RUN.id}", "/login", f"/dead/{kill_one(site)}"):
        name = f"{address.strip('/').replace('/', '-') or 'overview'}-{width}"
        page.emulate_media(color_scheme="light")
        page.goto(address)
        expect(page.locator("h1").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
        assert accessibility_faults(page) == [], address
        keep_screenshot(page, f"{name}-light")
        # Colours are all that the other theme changes.
        page.emulate_media(color_scheme="dark")
        assert accessibility_faults(page, {"runOnly": ["color-contrast"]}) == [], address
        keep_screenshot(page, f"{name}-dark")
    context.close()
    assert not complaints


def kill_one(site: Site) -> str:
    """A message dies; its id."""
    with site.client() as client:
        client.post("/api/v1/syncs", json={"mode": "update", "id": 1})
    return site.kill("updates")


def accessibility_faults(page: Page, options: dict[str, Any] | None = None) -> list[str]:
    """What axe-core finds wrong, as rule and place; `options` narrow what it looks for."""
    found = Axe().run(page, options={"resultTypes": ["violations"], **(options or {})}).response["violations"]
    return [f"{fault['id']}: {node['html'][:120]}" for fault in found for node in fault["nodes"]]


def test_the_keyboard_reaches_what_the_mouse_does(page: Page, site: Site) -> None:
    page.goto("/queues")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.get_by_role("button", name="Pause").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert not any(queue.is_paused for queue in site.operations.queues())


def test_the_docs_page_works_without_a_network(page: Page) -> None:
    page.goto("/docs")
    expect(page.get_by_text("Order a sync")).to_be_visible()


def test_no_means_no(page: Page, site: Site) -> None:
    page.goto("/queues")
    page.get_by_role("button", name="Pause").first.click()
    page.get_by_role("button", name="No").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert not any(queue.is_paused for queue in site.operations.queues())


def test_what_happens_shows_without_a_reload(page: Page, site: Site) -> None:
    page.goto("/")
    expect(page.get_by_text("Nothing runs.")).to_be_visible()
    run = Run(
        id="r1",
        mode=Mode.CLUB,
        preset="full",
        state=RunState.RUNNING,
        requested_at=datetime.now(UTC),
        started_at=datetime.now(UTC),
        account_id=1,
    )
    site.stores.runs.save(run)
    site.operations.pause("syncs")
    expect(page.get_by_role("link", name="Rovers")).to_be_visible()
    expect(page.get_by_text("syncs is paused; 0 wait.")).to_be_visible()
    assert page.evaluate("performance.getEntriesByType('navigation').length") == 1


def test_times_are_in_the_readers_zone(page: Page, site: Site) -> None:
    moment = datetime(2031, 10, 18, 1, 0, tzinfo=UTC)
    run = Run(
        id="r1", mode=Mode.CLUB, preset="full", state=RunState.QUEUED, requested_at=moment, account_id=1
    )
    site.stores.runs.save(run)
    page.goto("/runs/r1")
    expect(page.locator("time").first).to_contain_text("12:00:00")


def test_the_charts_are_drawn_for_each_span(page: Page) -> None:
    page.goto("/")
    canvases = page.locator("#charts canvas")
    expect(canvases).to_have_count(4)
    box = canvases.first.bounding_box()
    assert box is not None
    assert box["width"] > 300
    for name in ("Last day", "Last 30 days"):
        with page.expect_response("**/series.json*"):
            page.get_by_role("button", name=name).click()
        expect(page.get_by_role("button", name=name)).to_have_attribute("aria-pressed", "true")


def test_reading_works_without_javascript(browser: Browser, site: Site) -> None:
    context = browser.new_context(base_url=site.base_url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/queues")
    page.get_by_role("button", name="Pause").first.click()
    expect(page.get_by_role("heading", name="Pause this queue?")).to_be_visible()
    page.get_by_role("button", name="Yes").click()
    expect(page.get_by_role("status")).to_contain_text("is paused")
    context.close()


def test_the_first_view_is_light(page: Page) -> None:
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(len(answer.body())))
    page.goto("/", wait_until="load")
    assert sum(sizes) < 200_000
