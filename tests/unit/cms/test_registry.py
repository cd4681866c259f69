"""The CMS is opened by the kind that the settings name."""

from __future__ import annotations

import pytest

from cms.registry import CmsContext, installed_kinds, open_cms
from settings.schema import CmsSettings
from stores.sql.engine import open_engine
from stores.sql.stores import open_stores
from sync.clock import SystemClock
from sync.errors import ConfigurationError


def test_built_in_kinds_are_installed() -> None:
    assert "embedded" in installed_kinds()


def test_unknown_kind_is_refused_with_those_that_are_installed(sqlite_url: str) -> None:
    stores = open_stores(open_engine(sqlite_url, busy_timeout_s=1), SystemClock())
    context = CmsContext(settings=CmsSettings(kind="wordpress"), stores=stores, clock=SystemClock())

    with pytest.raises(
        ConfigurationError, match=r"cms\.kind: 'wordpress' is not installed; one of .*embedded"
    ):
        open_cms(context)
