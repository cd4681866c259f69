"""The run page and the account page at both widths, in both themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import keep_screenshot
from tests.integration.web.conftest import Site
from tests.integration.web.runs import hold_removals

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
@pytest.mark.parametrize("address", ["/runs/held", "/accounts/1"])
def test_the_pages_fit_the_window(
    page: Page, site: Site, address: str, size: dict[str, int], scheme: str
) -> None:
    hold_removals(site.stores)
    page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of playwright's literals
    page.set_viewport_size(size)  # type: ignore[arg-type]  # its TypedDict
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    keep_screenshot(page, f"{address.strip('/').replace('/', '-')}-{size['width']}-{scheme}")
