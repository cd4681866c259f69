"""Each CMS that the contract suite runs on."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from cms.registry import CmsContext, OpenCms, open_cms
from cms.strapi.adapter import StrapiCms
from settings.schema import CmsSettings, StrapiSettings
from simulator.strapi.face import Strapi
from stores.sql.accounts import NewAccount
from stores.sql.stores import open_stores
from sync.model import Account, Organisation, OrganisationKind
from sync.ports import Cms
from tests.fakes import FakeCms
from tests.strapi.fixtures import REAL_STRAPIS
from tests.strapi.server import StrapiServer, serving
from tests.strapi.tables import TOKEN, FaceTables, RealTables, Tables

NOW = datetime(2031, 10, 20, 9, 30, tzinfo=UTC)
CLUB = Organisation(
    id="club-1", kind=OrganisationKind.CLUB, provider="playhq", association_ids=("association-1",)
)


STRANGERS = Path(__file__).parents[2] / "packages" / "tennis" / "src"


class FixedClock:
    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True, slots=True)
class Bench:
    """A CMS to be tested; `add_account` makes an account of a club as its owners do.

    `many` records need several of its statements or requests.
    """

    cms: Cms
    add_account: Callable[[], int]
    many: int = 2500


# Each bench gets a copy.
STRAPIS = {
    "strapi_v4": Strapi(4),
    "strapi_v4_lenient": Strapi(4, is_lenient=True),
    "strapi_v5": Strapi(5),
    "strapi_v5_with_drafts": Strapi(5, has_drafts=True),
}


@pytest.fixture(
    params=[
        "embedded_on_sqlite",
        pytest.param("embedded_on_postgres", marks=pytest.mark.postgres),
        "fake",
        "strangers",
        *STRAPIS,
        *REAL_STRAPIS,
    ]
)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Each CMS, empty."""
    name: str = request.param
    if name == "fake":
        yield _fake()
    elif name == "strangers":
        yield _strangers(request)
    elif "strapi" in name:
        tables: Tables
        if name in STRAPIS:
            tables = FaceTables(copy.deepcopy(STRAPIS[name]))
        else:
            tables = RealTables(request.getfixturevalue("open_real_strapi")(name))
        with serving(tables) as strapi:
            bench = _strapi(strapi, request.getfixturevalue("sqlite_engine"))
            assert isinstance(bench.cms, StrapiCms)
            with closing(bench.cms):
                yield bench
    else:
        yield _embedded(request.getfixturevalue(name.replace("embedded_on_", "") + "_engine"))


@pytest.fixture
def cms(bench: Bench) -> Cms:
    return bench.cms


def _strangers(request: pytest.FixtureRequest) -> Bench:
    """The CMS of a package that is not ours, by its entry point's function."""
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    monkeypatch.syspath_prepend(str(STRANGERS))
    monkeypatch.setenv("CLUBHOUSE_FILE", str(request.getfixturevalue("tmp_path") / "clubhouse.json"))
    open_clubhouse: OpenCms = import_module("tennis.clubhouse").open_cms
    return _local(request.getfixturevalue("sqlite_engine"), open_clubhouse)


def _embedded(engine: Engine) -> Bench:
    return _local(engine, open_cms)


def _local(engine: Engine, open_cms: OpenCms) -> Bench:
    """A CMS whose accounts are in our own stores."""
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


def _strapi(strapi: StrapiServer, engine: Engine) -> Bench:
    clock = FixedClock()
    stores = open_stores(engine, clock)
    # Strapi knows short codes only.
    stores.organisations.save(CLUB)
    strapi.add("associations", Name="Harbour", href="https://example.test/org/association-1", Sport="Cricket")
    club = strapi.add("clubs", Name="Hawks", PlayHQID=CLUB.id, Sport="Cricket")
    settings = CmsSettings(
        kind="strapi", strapi=StrapiSettings(base_url=strapi.base_url, token=SecretStr(TOKEN))
    )
    cms = open_cms(CmsContext(settings=settings, stores=stores, clock=clock))
    return Bench(cms, lambda: strapi.add("accounts", FirstName="Hawks", clubs=[club]).number, many=120)


def _fake() -> Bench:
    cms = FakeCms()

    def add_account() -> int:
        cms.accounts[1] = Account(id=1, name="Hawks", organisation=CLUB)
        return 1

    return Bench(cms, add_account)
