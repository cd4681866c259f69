"""The CMS's own log of runs: one row a run, kept up as it goes, and never in the run's way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cms.registry import told_to
from cms.strapi.adapter import StrapiCms
from simulator.server import Answer, Request
from stores.sql.stores import SqlStores
from sync.report import Mode, Outcome, Run, RunState, Stage, StageReport
from tests.fakes import START
from tests.integration.cms.conftest import OpenStrapi
from tests.strapi.server import StrapiServer

LOG = "data-collections"
GOOD = StageReport(outcome=Outcome.SUCCEEDED, read=7, created=3, updated=2, removed=1, quarantined=1)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cms.strapi.calls._RETRY_BASE_S", 0.0)


@pytest.fixture
def save(open_strapi: OpenStrapi, stores: SqlStores) -> Callable[[Run], None]:
    return told_to(open_strapi(stores, data_collections=True), stores.runs).save


def run_of(account_id: int | None = None, **fields: Any) -> Run:
    known: dict[str, Any] = {
        "mode": Mode.CLUB,
        "state": RunState.RUNNING,
        "started_at": START,
        "account_id": account_id,
    }
    return Run(id="run-1", preset="full", requested_at=START, **{**known, **fields})


def trackers(strapi: StrapiServer) -> list[Any]:
    return [row["processingTracker"] for row in strapi.rows(LOG)]


def test_run_is_one_row_that_follows_it(
    save: Callable[[Run], None], strapi: StrapiServer, stores: SqlStores
) -> None:
    account = strapi.add("accounts", FirstName="Ann")
    run = run_of(account.number)
    stores.runs.request(run)
    save(run)
    (begun,) = trackers(strapi)
    run = replace(run, stages={Stage.COMPETITIONS: GOOD})
    save(run)
    (midway,) = trackers(strapi)
    save(replace(run, state=RunState.SUCCEEDED, finished_at=START))
    (ended,) = trackers(strapi)

    assert (begun["currentStage"], begun["totalStages"], begun["completedStages"]) == ("competitions", 5, [])
    assert (midway["currentStage"], midway["completedStages"]) == ("teams", ["competitions"])
    assert midway["pendingStages"] == ["teams", "games", "fixture-validation", "fixture-cleanup"]
    assert ended["pendingStages"] == []
    assert ended["competitions"] == {
        "itemsFound": 7,
        "itemsUpdated": 2,
        "itemsNew": 3,
        "itemsDeleted": 1,
        "errorsDetected": 1,
    }
    (row,) = strapi.rows(LOG)
    assert row["whenWasTheLastCollection"] == f"{START:%Y-%m-%dT%H:%M:%S}.000Z"
    assert row["TimeTaken"] >= 0
    assert row["MemoryUsage"] > 1
    assert strapi.linked(LOG, "account", "FirstName") == [["Ann"]]


def test_direct_run_is_logged_under_the_administrator(
    open_strapi: OpenStrapi, strapi: StrapiServer, stores: SqlStores
) -> None:
    admin = strapi.add("accounts", FirstName="Admin")
    cms = open_strapi(stores, data_collections=True, admin_account_id=admin.number)
    cms.track(run_of(mode=Mode.CLUB_DIRECT))

    assert strapi.linked(LOG, "account", "FirstName") == [["Admin"]]


def test_direct_run_without_an_administrator_is_logged_under_nobody(
    open_strapi: OpenStrapi, strapi: StrapiServer, stores: SqlStores
) -> None:
    open_strapi(stores, data_collections=True).track(run_of(mode=Mode.CLUB_DIRECT))

    assert strapi.linked(LOG, "account", "FirstName") == [[]]


def test_nothing_is_logged_unless_asked_for_and_of_no_dry_run(
    cms: StrapiCms, open_strapi: OpenStrapi, strapi: StrapiServer, stores: SqlStores
) -> None:
    cms.track(run_of())
    open_strapi(stores, data_collections=True).track(run_of(dry_run=True))

    assert strapi.requests == []


@pytest.mark.parametrize("status", [404, 403])
def test_cms_without_the_collection_is_asked_once(
    open_strapi: OpenStrapi, strapi: StrapiServer, stores: SqlStores, status: int
) -> None:
    strapi.before = lambda _: Answer(status, b"{}")
    cms = open_strapi(stores, data_collections=True)
    for state in (RunState.RUNNING, RunState.RUNNING, RunState.SUCCEEDED):
        cms.track(run_of(state=state))

    assert len(strapi.requests) == 1


@pytest.mark.parametrize("is_stored", [True, False])
def test_log_that_may_have_been_stored_gets_no_second_row(
    open_strapi: OpenStrapi, strapi: StrapiServer, stores: SqlStores, *, is_stored: bool
) -> None:
    lost = Answer(502, b"")

    def lose(request: Request, answer: Answer) -> Answer:
        return lost if request.method == "POST" else answer

    if is_stored:
        strapi.after = lose
    else:
        strapi.before = lambda request: lost if request.method == "POST" else None
    cms = open_strapi(stores, data_collections=True)
    for state in (RunState.RUNNING, RunState.RUNNING, RunState.SUCCEEDED):
        cms.track(run_of(state=state))

    assert len(strapi.rows(LOG)) == int(is_stored)
    assert len(strapi.writes) == 1


def test_verdict_is_logged_though_the_cms_was_away_in_between(
    open_strapi: OpenStrapi, strapi: StrapiServer, stores: SqlStores
) -> None:
    cms = open_strapi(stores, data_collections=True)
    cms.track(run_of())
    strapi.before = lambda _: Answer(503, b"")
    cms.track(run_of(stages={Stage.COMPETITIONS: GOOD}))
    strapi.before = lambda _: None
    cms.track(run_of(stages={Stage.COMPETITIONS: GOOD}, state=RunState.PARTIAL))

    (tracker,) = trackers(strapi)
    assert tracker["completedStages"] == ["competitions"]
