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
from sync.model import Account, Organisation, OrganisationKind
from sync.ports import Cms
from tests.fakes import FakeCms

NOW = datetime(2031, 10, 20, 9, 30, tzinfo=UTC)
CLUB = Organisation(
    id="club-1", kind=OrganisationKind.CLUB, provider="playhq", association_ids=("association-1",)
)


class FixedClock:
    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True, slots=True)
class Bench:
    """A CMS to be tested; `add_account` makes an account of a club as its owners do."""

    cms: Cms
    add_account: Callable[[], int]


@pytest.fixture(
    params=["embedded_on_sqlite", pytest.param("embedded_on_postgres", marks=pytest.mark.postgres), "fake"]
)
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each CMS, empty."""
    name: str = request.param
    if name == "fake":
        return _fake()
    return _embedded(request.getfixturevalue(name.replace("embedded_on_", "") + "_engine"))


@pytest.fixture
def cms(bench: Bench) -> Cms:
    return bench.cms


def _embedded(engine: Engine) -> Bench:
    clock = FixedClock()
    stores = open_stores(engine, clock)
    club = NewAccount(
        kind=CLUB.kind,
        name="Hawks",
        provider=CLUB.provider,
        organisation_id=CLUB.id,
        association_ids=CLUB.association_ids,
    )
    cms = open_cms(CmsContext(settings=CmsSettings(), stores=stores, clock=clock))
    return Bench(cms, lambda: stores.accounts.add(club).id)


def _fake() -> Bench:
    cms = FakeCms()

    def add_account() -> int:
        cms.accounts[1] = Account(id=1, name="Hawks", organisation=CLUB)
        return 1

    return Bench(cms, add_account)
