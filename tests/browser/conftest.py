"""A headless Chromium on the real application; without one the tests are skipped, or fail if required."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.integration.web.conftest import (
    Site,
    engine,
    outliving_stops,
    site,
    worker,
)

__all__ = ["engine", "outliving_stops", "site", "worker"]

CHROMIUM = Path("/usr/bin/chromium")
INSTALL = "install it with `apt-get install chromium`"
# A browser on a busy machine takes its time.
expect.set_options(timeout=30_000)
SCREENSHOTS = os.environ.get("TEST_SCREENSHOTS")


# Not for the session: while playwright lives, its event loop runs in the tests' own thread.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = CHROMIUM if CHROMIUM.exists() else shutil.which("chromium")
    if found is None:
        reason = f"Chromium is not installed: {INSTALL}"
        if os.environ.get("TEST_REQUIRE") == "all":
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(found), args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser complained about; a test ends with none."""
    return []


@pytest.fixture
def page(browser: Browser, site: Site, complaints: list[str]) -> Iterator[Page]:
    context = browser.new_context(base_url=site.base_url, timezone_id="Australia/Sydney", locale="en-AU")
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on(
        "console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None
    )
    yield page
    context.close()
    assert not complaints


def keep_screenshot(page: Page, name: str) -> None:
    """Write a picture into the folder that TEST_SCREENSHOTS names, if it does."""
    if SCREENSHOTS:
        page.screenshot(path=f"{SCREENSHOTS}/{name}.png", full_page=True)
