"""A CMS that fails: nothing twice, nothing lost, one record's fault is one record's fault."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cms.strapi.adapter import StrapiCms
from simulator.server import Answer, Delivery, Request
from simulator.strapi.schema import Kind
from stores.sql.stores import SqlStores
from sync.changes import Change
from sync.errors import CmsUnavailable, CredentialsRejected, RateLimited, UnexpectedResponse
from sync.model import Record
from sync.ports import Fence, Quarantined
from sync.report import Stage
from tests.fakes import FakeClock
from tests.integration.cms.conftest import OpenStrapi
from tests.records import created, game, grade, removed, season, team
from tests.strapi.server import StrapiServer
from tests.strapi.tables import TOKEN, FaceTables

FENCE = Fence("playhq:club-1", 1)
FAMILY: tuple[Record, ...] = (season(), grade(), team("home"), team("away"), game())


def apply(cms: StrapiCms, *changes: Change) -> Sequence[Quarantined]:
    return cms.apply("run-1", Stage.GAMES, changes, fence=FENCE)


def refusal(status: int, message: str) -> Answer:
    error = {"status": status, "name": "Error", "message": message, "details": {}}
    return Answer(status, json.dumps({"data": None, "error": error}).encode())


def columns_of(strapi: StrapiServer, collection: str) -> dict[str, Kind]:
    """A face's columns, to be taken away; a real one keeps its own while it runs."""
    if not isinstance(strapi.tables, FaceTables):
        pytest.skip("a real CMS does not lose columns while it runs")
    fields = strapi.tables.face.tables.schema[collection].fields
    assert isinstance(fields, dict)
    return fields


def body_of(request: Request) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(request.body or b"{}").get("data", {})
    return data


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cms.strapi.calls._RETRY_BASE_S", 0.0)
    monkeypatch.setattr("cms.strapi.upserts._CREATE_PAUSE_S", 0.0)
    monkeypatch.setattr("cms.strapi.upserts._LOOK_PAUSE_S", 0.0)


@pytest.mark.parametrize("delivery", [Delivery.RESET, Delivery.CUT])
def test_created_row_whose_answer_got_lost_is_not_created_twice(
    cms: StrapiCms, strapi: StrapiServer, delivery: Delivery
) -> None:
    lost: set[str] = set()

    def lose_the_first(request: Request, answer: Answer) -> Answer:
        if request.method != "POST" or request.path in lost:
            return answer
        lost.add(request.path)
        return replace(answer, delivery=delivery)

    strapi.after = lose_the_first
    refused = apply(cms, *map(created, FAMILY))

    assert refused == []
    assert len(lost) == 4
    for collection in ("competitions", "grades", "game-meta-datas"):
        assert len(strapi.rows(collection)) == 1
    assert len(strapi.rows("teams")) == 2


def test_runs_that_create_the_same_rows_at_once_make_each_one_once(
    strapi: StrapiServer, open_strapi: OpenStrapi, stores: SqlStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cms.strapi.upserts._LOOK_PAUSE_S", 0.1)
    adapters = [open_strapi(stores) for _ in range(4)]
    start = threading.Barrier(len(adapters))

    def fill(number: int) -> Sequence[Quarantined]:
        start.wait()
        fence = Fence(f"playhq:club-{number}", 1)
        return adapters[number].apply(f"run-{number}", Stage.GAMES, [*map(created, FAMILY)], fence=fence)

    with ThreadPoolExecutor(len(adapters)) as pool:
        refused = list(pool.map(fill, range(len(adapters))))

    assert refused == [[], [], [], []]
    for collection in ("competitions", "grades", "game-meta-datas"):
        assert len(strapi.rows(collection)) == 1
    assert len(strapi.rows("teams")) == 2


def test_claim_of_a_run_that_died_does_not_keep_the_row_out(
    cms: StrapiCms, strapi: StrapiServer, stores: SqlStores
) -> None:
    stores.cms_refs.claim("competitions", ["season-1"], now=FakeClock().now())

    assert apply(cms, created(season())) == []
    assert len(strapi.rows("competitions")) == 1


def test_reads_and_updates_are_tried_again(cms: StrapiCms, strapi: StrapiServer) -> None:
    failed: set[tuple[str, str]] = set()

    def fail_once(request: Request) -> Answer | None:
        key = (request.method, request.path)
        if request.method == "POST" or key in failed:
            return None
        failed.add(key)
        return Answer(503, b"<html>", content_type="text/html")

    strapi.before = fail_once

    assert apply(cms, *map(created, FAMILY)) == []


def test_record_that_the_cms_refuses_is_reported_with_its_reason(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    def refuse_away(request: Request) -> Answer | None:
        if request.method == "POST" and body_of(request).get("teamID") == "away":
            return refusal(400, "teamName must be at most 10 characters")
        return None

    strapi.before = refuse_away
    refused = apply(cms, *map(created, FAMILY))

    assert {record.record_id for record in refused} == {"away", "game-1"}
    assert "teamName must be at most 10 characters" in refused[0].reason
    assert refused[1].reason == "not stored: team away"
    assert [row["teamID"] for row in strapi.rows("teams")] == ["home"]


def test_one_record_that_breaks_the_cms_does_not_stop_the_others(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    strapi.before = lambda request: (
        refusal(500, "Internal Server Error") if body_of(request).get("teamID") == "away" else None
    )
    refused = apply(cms, *map(created, FAMILY[:4]))

    assert [record.record_id for record in refused] == ["away"]
    assert cms.read_teams(["season-1"]).keys() == {"home"}


def test_cms_that_fails_every_write_is_down(cms: StrapiCms, strapi: StrapiServer) -> None:
    apply(cms, created(season()))
    strapi.before = lambda request: refusal(500, "broken") if request.method == "POST" else None

    with pytest.raises(CmsUnavailable):
        apply(cms, *(created(team(f"t{number}")) for number in range(20)))
    assert strapi.rows("teams") == []


def test_cms_that_goes_away_in_the_middle_gets_the_rest_later(cms: StrapiCms, strapi: StrapiServer) -> None:
    strapi.before = lambda request: (
        Answer(0, delivery=Delivery.RESET) if "game-meta" in request.path else None
    )
    with pytest.raises(CmsUnavailable):
        apply(cms, *map(created, FAMILY))
    strapi.before = lambda _: None
    strapi.requests.clear()
    refused = apply(cms, *map(created, FAMILY))

    assert refused == []
    assert [path for _, path in strapi.writes] == ["game-meta-datas"]


@pytest.mark.parametrize("status", [401, 403])
def test_refused_token_is_never_tried_again_and_never_shown(
    cms: StrapiCms, strapi: StrapiServer, status: int
) -> None:
    strapi.before = lambda _: refusal(status, "Forbidden")

    with pytest.raises(CredentialsRejected, match=str(status)) as caught:
        apply(cms, created(season()))
    assert TOKEN not in str(caught.value)
    assert len(strapi.requests) == 1


def test_throttling_beyond_patience_is_left_to_the_run(cms: StrapiCms, strapi: StrapiServer) -> None:
    strapi.before = lambda _: Answer(429, b"{}", headers=(("Retry-After", "120"),))

    with pytest.raises(RateLimited) as caught:
        apply(cms, created(season()))
    assert caught.value.retry_after_s == 120


@pytest.mark.parametrize(
    "content", [b"<html>login</html>", b"[]", b'{"data": [{"id": "x"}]}', b'{"data": []}']
)
def test_answer_that_is_no_list_is_not_taken_for_an_empty_one(
    cms: StrapiCms, strapi: StrapiServer, content: bytes
) -> None:
    strapi.before = lambda _: Answer(200, content)

    with pytest.raises(UnexpectedResponse):
        apply(cms, created(season()))


def test_filter_that_the_cms_ignored_is_noticed(cms: StrapiCms, strapi: StrapiServer) -> None:
    strapi.add("competitions", competitionId="another")

    def drop_filters(request: Request, _answer: Answer) -> Answer:
        target = request.target.partition("?")[0]
        return strapi.tables.answer(replace(request, target=target))

    strapi.after = drop_filters

    with pytest.raises(UnexpectedResponse, match="ignored the filter on competitionId"):
        apply(cms, created(season()))


def test_pages_are_read_to_the_total(cms: StrapiCms, strapi: StrapiServer) -> None:
    apply(cms, *map(created, FAMILY))

    def smaller_pages(request: Request, _answer: Answer) -> Answer:
        target = request.target.replace("pageSize%5D=100", "pageSize%5D=1").replace(
            "pageSize]=100", "pageSize]=1"
        )
        return strapi.tables.answer(replace(request, target=target))

    strapi.after = smaller_pages
    strapi.requests.clear()

    assert cms.read_teams(["season-1"]).keys() == {"home", "away"}
    assert len(strapi.requests) == 2


def test_pages_that_do_not_add_up_are_no_answer(cms: StrapiCms, strapi: StrapiServer) -> None:
    def lie(request: Request, answer: Answer) -> Answer:
        content = json.loads(answer.body)
        if request.method == "GET":
            content["meta"]["pagination"]["total"] += 1
        return replace(answer, body=json.dumps(content).encode())

    strapi.after = lie

    with pytest.raises(CmsUnavailable, match="do not add up"):
        apply(cms, created(season()))


def test_list_that_grows_between_its_pages_is_read_again(cms: StrapiCms, strapi: StrapiServer) -> None:
    apply(cms, *map(created, FAMILY))
    grown: list[int] = []

    def grow_once(request: Request, answer: Answer) -> Answer:
        content = json.loads(answer.body)
        if request.path.endswith("/teams") and not grown:
            content["meta"]["pagination"]["total"] += 1
            grown.append(1)
        return replace(answer, body=json.dumps(content).encode())

    strapi.after = grow_once

    assert cms.read_teams(["season-1"]).keys() == {"home", "away"}
    assert grown


@pytest.mark.parametrize("status", [413, 414, 431])
def test_question_that_is_too_long_for_a_proxy_is_asked_in_portions(
    cms: StrapiCms, strapi: StrapiServer, status: int
) -> None:
    strapi.before = lambda request: (
        Answer(status, b"", content_type="text/plain")
        if sum("$in" in name for name, _ in request.pairs) > 3
        else None
    )
    apply(cms, created(season()), created(grade()))
    apply(cms, *(created(team(f"t{number}")) for number in range(20)))

    assert len(cms.read_teams(["season-1"])) == 20
    assert len(strapi.rows("teams")) == 20


@pytest.mark.parametrize("status", [200, 401, 403])
def test_login_page_in_the_cmss_place_is_an_absence(
    cms: StrapiCms, strapi: StrapiServer, status: int
) -> None:
    strapi.before = lambda _: Answer(status, b"<html>login</html>", content_type="text/html")

    with pytest.raises(CmsUnavailable, match="page for people"):
        apply(cms, created(season()))


@pytest.mark.parametrize("status", [502, 200])
def test_row_that_lands_behind_a_failing_proxy_is_made_once(
    cms: StrapiCms, strapi: StrapiServer, status: int
) -> None:
    spoiled: set[str] = set()

    def spoil_the_first(request: Request, answer: Answer) -> Answer:
        if request.method != "POST" or request.path in spoiled:
            return answer
        spoiled.add(request.path)
        return Answer(status, b"<html>bad gateway</html>", content_type="text/html")

    strapi.after = spoil_the_first

    assert apply(cms, *map(created, FAMILY)) == []
    assert len(strapi.rows("game-meta-datas")) == 1
    assert len(strapi.rows("teams")) == 2


def test_numbers_spelled_as_texts_are_numbers(cms: StrapiCms, strapi: StrapiServer) -> None:
    strapi.after = lambda _, answer: replace(
        answer, body=re.sub(rb'"id": ?([0-9]+)', rb'"id":"\1"', answer.body)
    )

    assert apply(cms, *map(created, FAMILY)) == []
    assert cms.read_games(["grade-1"]) == {"game-1": game()}


def test_token_that_is_revoked_midway_stops_with_what_was_written(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    strapi.before = lambda request: (
        refusal(401, "Missing or invalid credentials") if "game-meta" in request.path else None
    )
    with pytest.raises(CredentialsRejected):
        apply(cms, *map(created, FAMILY))
    strapi.before = lambda _: None
    strapi.requests.clear()

    assert apply(cms, *map(created, FAMILY)) == []
    assert [path for _, path in strapi.writes] == ["game-meta-datas"]


def test_lookups_stay_below_the_length_at_which_filters_are_dropped(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    apply(cms, created(season()))
    targets: list[str] = []

    def note(request: Request) -> None:
        targets.append(request.target)

    strapi.before = note
    apply(cms, *(created(team(f"t{number}", grade_id=None)) for number in range(120)))

    lookups = [target for target in targets if "teams?" in target]
    # Each portion is looked for among the drafts, too.
    assert len(lookups) == 6
    assert all(len(target) < 8000 for target in lookups)
    assert len(strapi.rows("teams")) == 120


def test_column_that_the_cms_does_not_have_is_left_out(cms: StrapiCms, strapi: StrapiServer) -> None:
    fields = columns_of(strapi, "game-meta-datas")
    for name in ("scorecards", "isDeleted", "deletedAt", "deletionReason"):
        del fields[name]
    refused = apply(cms, *map(created, FAMILY))
    strapi.requests.clear()
    unchanged = cms.read_games(["grade-1"])

    assert refused == []
    assert unchanged == {"game-1": game()}
    assert strapi.writes == []


def test_address_column_that_the_cms_does_not_have_is_asked_for_once(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    del columns_of(strapi, "competitions")["competitionUrl"]
    targets: list[str] = []
    strapi.before = lambda request: targets.append(request.target)
    for number in range(3):
        assert apply(cms, created(season(f"season-{number}"))) == []

    assert sum("competitionUrl" in target for target in targets) == 1
    assert len(strapi.rows("competitions")) == 3


def test_cms_without_soft_deletion_keeps_the_game_and_says_so(cms: StrapiCms, strapi: StrapiServer) -> None:
    fields = columns_of(strapi, "game-meta-datas")
    for name in ("isDeleted", "deletedAt", "deletionReason"):
        del fields[name]
    apply(cms, *map(created, FAMILY))
    refused = apply(cms, removed(game()))

    assert "isDeleted" in refused[0].reason
    assert len(strapi.rows("game-meta-datas")) == 1
    assert cms.read_games(["grade-1"]) == {"game-1": game()}


def test_address_without_a_slash_works(
    strapi: StrapiServer, open_strapi: OpenStrapi, stores: SqlStores
) -> None:
    cms = open_strapi(stores, base_url=strapi.base_url.rstrip("/"))

    assert apply(cms, created(season())) == []


def test_wrong_version_in_the_settings_is_named(
    strapi: StrapiServer, open_strapi: OpenStrapi, stores: SqlStores
) -> None:
    wrong = "v5" if strapi.tables.version == 4 else "v4"
    cms = open_strapi(stores, version=wrong)

    with pytest.raises(UnexpectedResponse, match=r"documentId|cms\.strapi\.version"):
        apply(cms, created(season()))
