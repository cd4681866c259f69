"""Draft and publish: what people took out of what is published gets no twin, and stays a draft."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cms.strapi.adapter import StrapiCms
from simulator.strapi.face import Strapi
from tests.integration.cms.conftest import serving_harbour
from tests.integration.cms.test_strapi_faults import FAMILY, apply
from tests.records import created, season, updated
from tests.strapi.fixtures import REAL_STRAPIS
from tests.strapi.server import StrapiServer
from tests.strapi.tables import TOKEN, FaceTables, RealTables, Tables

_FACES = {"v4 with drafts": 4, "v5 with drafts": 5}


@pytest.fixture(params=[*_FACES, *REAL_STRAPIS])
def strapi(request: pytest.FixtureRequest) -> Iterator[StrapiServer]:
    name: str = request.param
    tables: Tables
    if name in _FACES:
        tables = FaceTables(Strapi(_FACES[name], has_drafts=True))
    else:
        tables = RealTables(request.getfixturevalue("open_real_strapi")(name))
    with serving_harbour(tables) as strapi:
        yield strapi


def ask(strapi: StrapiServer, method: str, target: str, **body: Any) -> Any:
    """As one of the CMS's own people, of drafts too."""
    answer = httpx.request(
        method,
        f"{strapi.base_url}{target}",
        params={"status": "draft", "publicationState": "preview"},
        json={"data": body} if body else None,
        headers={"authorization": f"Bearer {TOKEN}"},
    )
    return answer.raise_for_status().json()["data"]


def test_row_that_people_keep_as_a_draft_is_kept_up_as_a_draft(cms: StrapiCms, strapi: StrapiServer) -> None:
    apply(cms, *map(created, FAMILY))
    kept = {"competitionId": "season-2", "competitionName": "Old", "season": "Old"}
    ask(strapi, "POST", "competitions", **kept, publishedAt=None)
    published = len(strapi.rows("competitions"))

    assert apply(cms, created(season("season-2"))) == []
    assert apply(cms, updated(season("season-2"), season("season-2", name="Winter"))) == []
    assert cms.read_seasons(["association-1"])["season-2"].name == "Winter"

    strapi.requests.clear()
    assert apply(cms, created(season("season-2", name="Winter"))) == []
    assert strapi.writes == []
    assert len(strapi.rows("competitions")) == published
    seasons = [row.get("attributes", row)["season"] for row in ask(strapi, "GET", "competitions")]
    assert sorted(seasons) == ["Summer 2031/32", "Winter"]
