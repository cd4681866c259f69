"""Each CMS that the contract suite runs on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from sqlalchemy import Engine

from cms.embedded.plugin import open_cms
from cms.registry import CmsContext
from settings.schema import CmsSettings
from stores.sql.accounts import NewAccount
from stores.sql.stores import open_stores
from sync.model import OrganisationKind
from sync.ports import Cms

NOW = datetime(2031, 10, 20, 9, 30, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True, slots=True)
class Bench:
    """A CMS to be tested; `add_account` makes an account of a club as its owners do."""

    cms: Cms
    add_account: Callable[[], int]


@pytest.fixture
def bench(engine: Engine) -> Bench:
    clock = FixedClock()
    stores = open_stores(engine, clock)
    club = NewAccount(
        kind=OrganisationKind.CLUB,
        name="Hawks",
        provider="playhq",
        organisation_id="club-1",
        association_ids=("association-1",),
        tags=("vip",),
    )
    cms = open_cms(CmsContext(settings=CmsSettings(), stores=stores, clock=clock))
    return Bench(cms, lambda: stores.accounts.add(club).id)


@pytest.fixture
def cms(bench: Bench) -> Cms:
    return bench.cms
