"""A CMS that answers oddly: asked again, or told as what it is; never believed, never written to twice."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from cms.strapi.adapter import StrapiCms
from simulator.server import Answer, Delivery, Request
from simulator.strapi.face import Strapi
from sync.errors import CmsUnavailable, CredentialsRejected, RateLimited, UnexpectedResponse
from tests.integration.cms.conftest import serving_harbour
from tests.integration.cms.test_strapi_faults import FAMILY, apply, body_of, refusal
from tests.records import created, game, season, team, updated
from tests.strapi.server import StrapiServer
from tests.strapi.tables import TOKEN, FaceTables

GZIP = (("Content-Encoding", "gzip"),)


@pytest.fixture(params=[4, 5])
def strapi(request: pytest.FixtureRequest) -> Iterator[StrapiServer]:
    """The faces alone: what is awkward here is made up in front of them."""
    with serving_harbour(FaceTables(Strapi(request.param))) as strapi:
        yield strapi


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cms.strapi.calls._RETRY_BASE_S", 0.0)
    monkeypatch.setattr("cms.strapi.upserts._CREATE_PAUSE_S", 0.0)
    monkeypatch.setattr("cms.strapi.upserts._LOOK_PAUSE_S", 0.0)


def with_success(message: str) -> bytes:
    """An error of Strapi's, to be sent with 200."""
    return refusal(400, message).body


GARBLED = {
    "page": Answer(200, b"<html>please wait</html>"),
    "half of it": Answer(200, b'{"data": ['),
    "error": Answer(200, with_success("try later")),
    "nothing": Answer(204),
    "nested": Answer(200, b'{"data": ' + b"[" * 100_000),
    "not packed": Answer(200, b'{"data": []}', headers=GZIP),
    "null": Answer(200, b"null"),
    "408": Answer(408, b"request timeout", content_type="text/plain"),
}


@pytest.mark.parametrize("name", GARBLED)
def test_reading_that_was_garbled_is_asked_again(cms: StrapiCms, strapi: StrapiServer, name: str) -> None:
    garbled: set[str] = set()

    def garble_the_first(request: Request) -> Answer | None:
        if request.method != "GET" or request.path in garbled:
            return None
        garbled.add(request.path)
        return GARBLED[name]

    strapi.before = garble_the_first

    assert apply(cms, *map(created, FAMILY)) == []
    assert garbled


@pytest.mark.parametrize("name", GARBLED)
def test_row_whose_creation_is_answered_oddly_is_made_once(
    cms: StrapiCms, strapi: StrapiServer, name: str
) -> None:
    garbled: set[str] = set()

    def garble_the_first(request: Request, answer: Answer) -> Answer:
        if request.method != "POST" or request.path in garbled or name == "error":
            return answer
        garbled.add(request.path)
        return GARBLED[name]

    strapi.after = garble_the_first

    assert apply(cms, *map(created, FAMILY)) == []
    assert len(strapi.rows("game-meta-datas")) == 1
    assert len(strapi.rows("teams")) == 2


def test_error_with_success_is_no_success(cms: StrapiCms, strapi: StrapiServer) -> None:
    apply(cms, *map(created, FAMILY))
    strapi.before = lambda request: (
        Answer(200, with_success("round is too odd")) if body_of(request).get("round") == "R9" else None
    )
    refused = apply(cms, updated(game(), game(round="R9")))

    assert [(record.record_id, "round is too odd" in record.reason) for record in refused] == [
        ("game-1", True)
    ]


def test_lasting_error_with_success_is_told(cms: StrapiCms, strapi: StrapiServer) -> None:
    strapi.before = lambda _: Answer(200, with_success("the database is on holiday"))

    with pytest.raises(UnexpectedResponse, match="200, but an error: the database is on holiday"):
        apply(cms, created(season()))


@pytest.mark.parametrize(
    "entry",
    [
        {"id": 7, "attributes": None},
        {"id": 7, "attributes": [1]},
        {"id": True, "attributes": {}},
        {"id": None, "attributes": {}},
        {"id": 7, "documentId": None},
        {"id": 7, "documentId": 12},
        "row",
        None,
    ],
    ids=repr,
)
def test_entry_that_is_none_is_refused(cms: StrapiCms, strapi: StrapiServer, entry: Any) -> None:
    pagination = {"page": 1, "pageSize": 100, "pageCount": 1, "total": 1}
    content = {"data": [entry], "meta": {"pagination": pagination}}
    strapi.before = lambda _: Answer(200, json.dumps(content).encode())

    with pytest.raises(UnexpectedResponse):
        apply(cms, created(season()))


def with_pagination(answer: Answer, **lies: Any) -> Answer:
    content = json.loads(answer.body)
    content["meta"]["pagination"] |= lies
    return replace(answer, body=json.dumps(content).encode())


@pytest.mark.parametrize(
    "lie", [{"pageCount": 10**9}, {"total": 0}, {"total": -1}, {"pageCount": 0}], ids=str
)
def test_totals_that_lie_are_noticed_without_endless_questions(
    cms: StrapiCms, strapi: StrapiServer, lie: dict[str, int]
) -> None:
    apply(cms, created(season()))
    strapi.requests.clear()
    strapi.after = lambda request, answer: (
        with_pagination(answer, **lie) if request.method == "GET" else answer
    )
    if lie == {"pageCount": 0}:
        # There is no more than what came, and that is all there should be.
        assert cms.read_seasons(["association-1"]).keys() == {"season-1"}
    else:
        with pytest.raises(CmsUnavailable, match="do not add up"):
            cms.read_seasons(["association-1"])
    assert len(strapi.requests) <= 8


def test_row_that_no_lookup_answers_any_more_is_not_made_twice(cms: StrapiCms, strapi: StrapiServer) -> None:
    apply(cms, created(season()))

    def empty(request: Request, answer: Answer) -> Answer:
        content = json.loads(answer.body)
        if request.method == "GET" and isinstance(content["data"], list):
            content |= {"data": [], "meta": {"pagination": {"page": 1, "pageCount": 0, "total": 0}}}
        return replace(answer, body=json.dumps(content).encode())

    strapi.after = empty
    with pytest.raises(UnexpectedResponse, match="has competitions season-1, but does not answer it"):
        apply(cms, created(season()))
    assert len(strapi.rows("competitions")) == 1


def test_totals_are_asked_for_where_the_cms_would_leave_them_out(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    def leave_out(request: Request, answer: Answer) -> Answer:
        if request.method != "GET" or request.query.get("pagination[withCount]") == "true":
            return answer
        return with_pagination(answer, total=None, pageCount=None)

    strapi.after = leave_out

    assert apply(cms, *map(created, FAMILY)) == []


def test_keys_in_another_case_are_the_same_keys(cms: StrapiCms, strapi: StrapiServer) -> None:
    apply(cms, *map(created, FAMILY))
    strapi.after = lambda _, answer: replace(
        answer, body=re.sub(rb'("gameID": ?")game-1', rb"\1GAME-1", answer.body)
    )
    strapi.requests.clear()

    assert cms.read_games(["grade-1"]) == {"game-1": game()}
    assert apply(cms, created(game())) == []
    assert strapi.writes == []


def test_row_that_is_deleted_under_our_hands_is_that_records_failure(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    apply(cms, *map(created, FAMILY))
    strapi.before = lambda request: (
        refusal(404, "Not Found") if request.method == "PUT" and body_of(request).get("round") else None
    )
    refused = apply(cms, updated(game(), game(round="R9")), updated(team("home"), team("home", name="Hens")))

    assert [record.record_id for record in refused] == ["game-1"]
    assert "deleted it in the CMS" in refused[0].reason
    assert "Hens" in {row["teamName"] for row in strapi.rows("teams")}


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_token_goes_nowhere_else(cms: StrapiCms, strapi: StrapiServer, method: str) -> None:
    apply(cms, created(season()))
    elsewhere = (("Location", "http://elsewhere.test/api/competitions?token=abc"),)
    strapi.before = lambda request: Answer(302, b"", headers=elsewhere) if request.method == method else None
    renamed = updated(season(), season(name="Winter"))
    with pytest.raises(UnexpectedResponse, match=r"sends us on to elsewhere\.test \(302\)") as caught:
        apply(cms, renamed if method == "PUT" else created(season("season-2")))
    assert "token=abc" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 500])
def test_token_that_the_cms_repeats_is_not_told(cms: StrapiCms, strapi: StrapiServer, status: int) -> None:
    strapi.before = lambda request: (
        refusal(status, f"no rights for Bearer {TOKEN}") if request.method == "POST" else None
    )
    told = ""
    try:
        told = str(apply(cms, created(season())))
    except (CmsUnavailable, CredentialsRejected) as error:
        told = str(error)
    assert "no rights for Bearer" in told
    assert TOKEN not in told


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [("²", 5.0), ("99999999999999999999", 3600.0), ("Sat, 18 Oct 2031 02:02:00 -0000", 3600.0)],
)
def test_pause_that_the_cms_asks_for_oddly_is_one_we_can_keep(
    cms: StrapiCms, strapi: StrapiServer, monkeypatch: pytest.MonkeyPatch, header: str, wait_s: float
) -> None:
    monkeypatch.setattr("cms.strapi.calls._LONGEST_PAUSE_S", 0.0)
    strapi.before = lambda _: Answer(429, b"{}", headers=(("Retry-After", header),))

    with pytest.raises(RateLimited) as caught:
        apply(cms, created(season()))
    assert caught.value.retry_after_s == wait_s


def test_answer_without_measure_is_refused(
    cms: StrapiCms, strapi: StrapiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cms.strapi.calls._MAX_BODY_BYTES", 10_000)
    strapi.before = lambda _: Answer(200, b'{"data": "' + b"x" * 50_000 + b'"}')

    with pytest.raises(UnexpectedResponse, match="longer than 10000 bytes"):
        apply(cms, created(season()))


def test_cms_that_trickles_is_away_and_not_asked_the_same_again(
    cms: StrapiCms, strapi: StrapiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cms.strapi.calls._BODY_TIMEOUT_S", 0.0)
    strapi.before = lambda _: Answer(200, b" " * 500, delivery=Delivery.DRIP)

    with pytest.raises(CmsUnavailable, match="did not answer"):
        apply(cms, created(season()))
    assert len(strapi.requests) == 1
