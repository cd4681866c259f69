"""Real Strapis for tests: each is started when a test first asks for it, and emptied for every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Protocol

import pytest

from tests.strapi.installation import RELEASES
from tests.strapi.real import RealStrapi, running

# By name: the version, and whether draft and publish is on.
_SERVERS = {
    "real_strapi_v4": (4, False),
    "real_strapi_v4_with_drafts": (4, True),
    "real_strapi_v5": (5, False),
    "real_strapi_v5_with_drafts": (5, True),
}
REAL_STRAPIS = [pytest.param(name, marks=pytest.mark.strapi) for name in _SERVERS]


class OpenRealStrapi(Protocol):
    def __call__(self, name: str) -> RealStrapi: ...


@pytest.fixture(scope="session")
def open_real_strapi(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenRealStrapi]:
    """Opens a server of REAL_STRAPIS by name, empty; skips where Strapi is not installed."""
    opened: dict[str, RealStrapi] = {}
    with ExitStack() as stack:

        def open_real(name: str) -> RealStrapi:
            version, has_drafts = _SERVERS[name]
            if not RELEASES[version].is_installed():
                pytest.skip(f"Strapi {RELEASES[version].version} is not installed: ./test --strapi does it")
            if name not in opened:
                folder = tmp_path_factory.mktemp(name)
                opened[name] = stack.enter_context(running(version, has_drafts=has_drafts, folder=folder))
            opened[name].empty()
            return opened[name]

        yield open_real
