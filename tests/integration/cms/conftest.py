"""A Strapi of each version behind a socket, and the adapter over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import Engine

from cms.registry import CmsContext
from cms.strapi.adapter import StrapiCms
from cms.strapi.plugin import open_cms
from settings.schema import CmsSettings, StrapiSettings
from simulator.strapi.face import Strapi
from stores.sql.engine import open_engine
from stores.sql.stores import SqlStores, open_stores
from tests.fakes import FakeClock
from tests.integration.cms.bench import Bench, open_bench
from tests.strapi.fixtures import REAL_STRAPIS
from tests.strapi.server import StrapiServer, serving
from tests.strapi.tables import TOKEN, FaceTables, RealTables, Tables

OpenStrapi = Callable[..., StrapiCms]
_FACES: Mapping[str, Callable[[], Strapi]] = {"v4": lambda: Strapi(4), "v5": lambda: Strapi(5)}


@pytest.fixture(params=[*_FACES, *REAL_STRAPIS])
def strapi(request: pytest.FixtureRequest) -> Iterator[StrapiServer]:
    """A CMS with one association, Harbour."""
    name: str = request.param
    tables: Tables
    if name in _FACES:
        tables = FaceTables(_FACES[name]())
    else:
        tables = RealTables(request.getfixturevalue("open_real_strapi")(name))
    with serving_harbour(tables) as strapi:
        yield strapi


@contextmanager
def serving_harbour(tables: Tables) -> Iterator[StrapiServer]:
    with serving(tables) as strapi:
        strapi.add(
            "associations", Name="Harbour", href="https://example.test/org/association-1", Sport="Cricket"
        )
        yield strapi


@pytest.fixture
def stores(sqlite_engine: Engine) -> SqlStores:
    return open_stores(sqlite_engine, FakeClock())


@pytest.fixture
def other_stores(migrated_sqlite: Path, tmp_path: Path) -> Iterator[SqlStores]:
    """Another local database, as after the first one was lost."""
    path = shutil.copy(migrated_sqlite, tmp_path / "other.db")
    engine = open_engine(f"sqlite:///{path}", busy_timeout_s=10)
    yield open_stores(engine, FakeClock())
    engine.dispose()


@pytest.fixture
def open_strapi(strapi: StrapiServer) -> Iterator[OpenStrapi]:
    """Opens the adapter over stores, with settings of its own."""
    with ExitStack() as opened:

        def open_over(stores: SqlStores, **settings: Any) -> StrapiCms:
            strapi_settings = StrapiSettings(
                **{"base_url": strapi.base_url, "token": SecretStr(TOKEN), **settings}
            )
            context = CmsContext(
                settings=CmsSettings(kind="strapi", strapi=strapi_settings),
                stores=stores,
                clock=FakeClock(),
            )
            cms = open_cms(context)
            assert isinstance(cms, StrapiCms)
            opened.callback(cms.close)
            return cms

        yield open_over


@pytest.fixture
def cms(open_strapi: OpenStrapi, stores: SqlStores) -> StrapiCms:
    return open_strapi(stores)


@pytest.fixture
def bench(cms: StrapiCms, strapi: StrapiServer, stores: SqlStores) -> Bench:
    return open_bench(cms, stores, strapi)
