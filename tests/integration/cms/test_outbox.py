"""A CMS that goes away in the middle gets the rest later, in order, and nobody is asked twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from simulator.server import Answer, Delivery, Request
from simulator.strapi.face import Strapi
from stores.sql.outbox import SqlOutbox
from stores.sql.stores import SqlStores
from stores.timeline import timeline_of_run
from sync.changes import Action
from sync.delivery.outbox import AWAY_FOR
from sync.errors import CmsUnavailable, LeaseLost
from sync.model import RecordKind
from sync.ports import Fence
from sync.report import DeliveryState, Outcome, Run, Stage
from tests.fakes import World
from tests.integration.cms.bench import Bench, open_bench
from tests.integration.cms.conftest import OpenStrapi
from tests.records import created, season
from tests.strapi.server import StrapiServer, serving
from tests.strapi.tables import FaceTables
from tests.unit.sync.engine import ASSOCIATION, TODAY, game_day, played

COLLECTIONS = ("competitions", "grades", "teams", "game-meta-datas")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cms.strapi.calls._RETRY_BASE_S", 0.0)
    monkeypatch.setattr("cms.strapi.upserts._CREATE_PAUSE_S", 0.0)
    monkeypatch.setattr("cms.strapi.upserts._LOOK_PAUSE_S", 0.0)


def go_away(strapi: StrapiServer, *, after_writes: int = 0) -> None:
    """From the next write but so many on, nothing is answered."""
    count = 0

    def reset(request: Request) -> Answer | None:
        nonlocal count
        count += request.method != "GET"
        return Answer(0, delivery=Delivery.RESET) if count > after_writes else None

    strapi.before = reset


def come_back(strapi: StrapiServer) -> None:
    strapi.before = lambda _: None
    strapi.requests.clear()


def contents(strapi: StrapiServer) -> dict[str, list[dict[str, Any]]]:
    """All that a sync has written, whatever its order."""
    return {
        name: sorted(strapi.rows(name), key=lambda row: json.dumps(row, sort_keys=True))
        for name in COLLECTIONS
    }


@pytest.fixture
def undisturbed(open_strapi: OpenStrapi, other_stores: SqlStores) -> Iterator[dict[str, Any]]:
    """What the CMS holds after the same sync with nothing in its way."""
    with ExitStack() as stack:
        other = stack.enter_context(serving(FaceTables(Strapi(5))))
        cms = open_strapi(other_stores, base_url=other.base_url)
        assert open_bench(cms, other_stores, other).sync().outcome is Outcome.SUCCEEDED
        yield contents(other)


@pytest.mark.parametrize("after_writes", [0, 2, 8])
def test_the_rest_follows_without_asking_the_provider(
    bench: Bench, strapi: StrapiServer, undisturbed: dict[str, Any], after_writes: int
) -> None:
    go_away(strapi, after_writes=after_writes)
    partial = bench.sync()
    waiting = bench.outbox.backlog().count
    with pytest.raises(CmsUnavailable):
        bench.deliver()
    come_back(strapi)
    # The provider is gone: whoever asked it would fail.
    bench.world = World()
    delivered = bench.deliver()
    settled = bench.stores.runs.find(partial.id)

    assert partial.outcome is Outcome.PARTIAL
    assert sum(report.waiting for report in partial.stages.values()) == waiting == delivered > 0
    assert "changes wait until the CMS is back" in str(partial.message)
    assert contents(strapi) == undisturbed
    assert (settled.outcome, settled.message) == (Outcome.SUCCEEDED, None)
    assert sum(report.waiting for report in settled.stages.values()) == 0
    assert [run.outcome for run in bench.announced] == [Outcome.PARTIAL, Outcome.SUCCEEDED]
    assert bench.outbox.is_empty()
    assert not bench.outbox.runs()


def test_nothing_is_written_twice_by_a_second_delivery(bench: Bench, strapi: StrapiServer) -> None:
    go_away(strapi, after_writes=3)
    bench.sync()
    come_back(strapi)
    bench.deliver()
    strapi.requests.clear()

    assert bench.deliver() == 0
    assert strapi.requests == []
    assert bench.sync().outcome is Outcome.SUCCEEDED
    assert strapi.writes == []


def test_delivery_that_is_cut_off_goes_on_where_it_was(
    bench: Bench, strapi: StrapiServer, undisturbed: dict[str, Any]
) -> None:
    go_away(strapi, after_writes=2)
    bench.sync()
    for after_writes in (1, 3, 4):
        go_away(strapi, after_writes=after_writes)
        with pytest.raises(CmsUnavailable):
            bench.deliver()
    come_back(strapi)
    bench.deliver()

    assert contents(strapi) == undisturbed


def test_newer_plan_of_a_record_replaces_the_older_one(bench: Bench, strapi: StrapiServer) -> None:
    assert bench.sync().outcome is Outcome.SUCCEEDED
    games = bench.world.games
    go_away(strapi)
    games["game-4"] = replace(games["game-4"], round="older")
    first = bench.sync()
    games["game-4"] = replace(games["game-4"], round="newer")
    second = bench.sync()
    come_back(strapi)
    rounds: list[str] = []

    def note(request: Request) -> None:
        if request.method == "PUT":
            rounds.append(json.loads(request.body)["data"].get("round"))

    strapi.before = note
    bench.deliver()

    assert (first.outcome, second.outcome) == (Outcome.PARTIAL, Outcome.PARTIAL)
    assert rounds == ["newer"]
    assert [bench.stores.runs.find(run.id).outcome for run in (first, second)] == [Outcome.SUCCEEDED] * 2


def test_change_that_is_taken_back_meanwhile_leaves_the_cms_as_it_is(
    bench: Bench, strapi: StrapiServer
) -> None:
    bench.sync()
    games = bench.world.games
    before = games["game-4"]
    go_away(strapi)
    games["game-4"] = played(before)
    bench.sync()
    games["game-4"] = before
    bench.sync()
    come_back(strapi)
    bench.deliver()

    assert strapi.writes == []


def test_sync_of_a_cms_that_is_back_waits_behind_what_waits(bench: Bench, strapi: StrapiServer) -> None:
    go_away(strapi, after_writes=1)
    bench.sync()
    come_back(strapi)
    games = bench.world.games
    games["game-4"] = replace(games["game-4"], days=(game_day(TODAY + timedelta(days=9)),))
    behind = bench.sync()
    overtaken = strapi.writes
    bench.deliver()
    strapi.requests.clear()

    assert behind.outcome is Outcome.PARTIAL
    assert overtaken == []
    assert bench.sync().outcome is Outcome.SUCCEEDED
    assert strapi.writes == []


def test_sync_that_finds_its_records_waiting_waits_along(bench: Bench, strapi: StrapiServer) -> None:
    bench.sync()
    games = bench.world.games
    games["game-4"] = replace(games["game-4"], round="Round 4")
    # Of the grade in which only strangers to the club play.
    games["game-6"] = replace(games["game-6"], round="Round 4")
    # It still answers questions.
    go_away(strapi)
    first, second, of_club = bench.sync(), bench.sync(), bench.sync_club()
    come_back(strapi)
    bench.deliver()

    assert [run.outcome for run in (first, second, of_club)] == [Outcome.PARTIAL] * 3
    assert [run.stages[Stage.GAMES].waiting for run in (first, second, of_club)] == [2, 2, 1]
    settled = [bench.stores.runs.find(run.id) for run in (first, second, of_club)]
    assert [run.outcome for run in settled] == [Outcome.SUCCEEDED] * 3
    assert [run.stages[Stage.GAMES].updated for run in settled] == [2, 0, 0]
    assert not bench.outbox.runs()


def test_who_waited_along_learns_of_the_refusal(bench: Bench, strapi: StrapiServer) -> None:
    bench.sync()
    games = bench.world.games
    games["game-4"] = replace(games["game-4"], round="older")
    go_away(strapi)
    runs = [bench.sync(), bench.sync()]
    # Who let an older version wait waits for the newer one.
    games["game-4"] = replace(games["game-4"], round="newer")
    runs.append(bench.sync())
    refuse(strapi, "round", "newer")
    bench.deliver()

    settled = [bench.stores.runs.find(run.id) for run in runs]
    assert [run.outcome for run in settled] == [Outcome.PARTIAL] * 3
    assert [run.stages[Stage.GAMES].refused for run in settled] == [1] * 3
    assert all("game-4: 400: no such round" in str(run.message) for run in settled)


@pytest.mark.parametrize("retried", [0, 1])
def test_who_shared_a_refusal_is_judged_anew_whoever_has_it_tried_again(
    bench: Bench, strapi: StrapiServer, retried: int
) -> None:
    bench.sync()
    bench.world.games["game-4"] = replace(bench.world.games["game-4"], round="new")
    go_away(strapi)
    runs = [bench.sync(), bench.sync()]
    refuse(strapi, "round", "new")
    bench.deliver()
    come_back(strapi)

    assert bench.stores.refusals.retry(runs[retried].id) == 1
    bench.deliver()
    settled = [bench.stores.runs.find(run.id) for run in runs]
    assert [run.outcome for run in settled] == [Outcome.SUCCEEDED] * 2
    assert [run.stages[Stage.GAMES].refused for run in settled] == [0, 0]
    assert [bench.stores.refusals.retry(run.id) for run in runs] == [0, 0]


def test_record_that_is_refused_at_once_is_told_like_one_refused_late(
    bench: Bench, strapi: StrapiServer
) -> None:
    refuse(strapi, "gameID", "game-4")
    run = bench.sync()

    assert run.outcome is Outcome.PARTIAL
    assert run.message == "games: the CMS refused game game-4: 400: no such round"
    assert len(strapi.rows("game-meta-datas")) == 5
    come_back(strapi)
    assert bench.sync().outcome is Outcome.SUCCEEDED


def test_removal_waits_and_is_carried_out(bench: Bench, strapi: StrapiServer) -> None:
    bench.sync()
    del bench.world.games["game-4"]
    bench.sync()
    bench.sync()
    go_away(strapi)
    removing = bench.sync()
    come_back(strapi)
    bench.deliver()

    assert removing.stages[Stage.FIXTURE_CLEANUP].waiting == 1
    assert [row["gameID"] for row in strapi.rows("game-meta-datas") if row["isDeleted"]] == ["game-4"]
    assert bench.stores.runs.find(removing.id).stages[Stage.FIXTURE_CLEANUP].removed == 1


def test_undo_while_the_cms_is_away_waits_too(bench: Bench, strapi: StrapiServer) -> None:
    bench.sync()
    games = bench.world.games
    games["game-4"] = replace(games["game-4"], round="mistake")
    mistaken = bench.sync()
    go_away(strapi)
    act = bench.undo.undo(mistaken.id)
    come_back(strapi)
    bench.deliver()

    assert act.run is not None
    assert act.run.outcome is Outcome.PARTIAL
    assert "mistake" not in [row["round"] for row in strapi.rows("game-meta-datas")]
    assert bench.stores.runs.find(act.run.id).outcome is Outcome.SUCCEEDED


def refuse(strapi: StrapiServer, column: str, value: str) -> None:
    """From now on the CMS answers, and refuses for good what has this value."""
    come_back(strapi)
    refusal = Answer(400, json.dumps({"error": {"message": "no such round", "details": {}}}).encode())
    strapi.before = lambda request: (
        refusal if json.loads(request.body or b"{}").get("data", {}).get(column) == value else None
    )


@pytest.fixture
def refused(bench: Bench, strapi: StrapiServer) -> Run:
    """A run whose game the CMS refused when it was brought there, all else being delivered."""
    go_away(strapi, after_writes=1)
    run = bench.sync()
    refuse(strapi, "gameID", "game-4")
    bench.deliver()
    return bench.stores.runs.find(run.id)


def test_run_whose_change_is_refused_at_its_delivery_says_so(
    bench: Bench, strapi: StrapiServer, refused: Run
) -> None:
    report = refused.stages[Stage.GAMES]
    (kept,) = bench.stores.refusals.of_run(refused.id)

    assert bench.outbox.is_empty()
    assert len(strapi.rows("game-meta-datas")) == 5
    assert (refused.outcome, refused.delivery) == (Outcome.PARTIAL, DeliveryState.REFUSED)
    assert (report.waiting, report.refused) == (0, 1)
    assert "game-4" in str(refused.message)
    assert "no such round" in str(refused.message)
    assert (kept.change.record_id, kept.change.action) == ("game-4", Action.CREATED)
    assert "no such round" in kept.reason
    told = [event.text for event in timeline_of_run(bench.stores, refused)]
    assert any(text.startswith("the CMS refused game game-4: ") for text in told)
    assert "game-4" not in bench.stores.mirror.find_games(["game-4"])
    assert [run.delivery for run in bench.announced] == [DeliveryState.WAITING, DeliveryState.REFUSED]


def test_retry_brings_what_was_refused_once_the_cms_takes_it(
    bench: Bench, strapi: StrapiServer, refused: Run, undisturbed: dict[str, Any]
) -> None:
    come_back(strapi)
    count = bench.stores.refusals.retry(refused.id)
    bench.deliver()
    settled = bench.stores.runs.find(refused.id)

    assert (count, bench.stores.refusals.retry(refused.id)) == (1, 0)
    assert contents(strapi) == undisturbed
    assert (settled.outcome, settled.delivery, settled.message) == (Outcome.SUCCEEDED, None, None)
    assert settled.stages[Stage.GAMES].created == refused.stages[Stage.GAMES].created + 1
    assert bench.announced[-1].outcome is Outcome.SUCCEEDED


def test_retry_that_is_refused_again_is_kept_and_told_no_second_time(bench: Bench, refused: Run) -> None:
    told = len(bench.announced)
    bench.stores.refusals.retry(refused.id)
    bench.deliver()

    assert [one.change.record_id for one in bench.stores.refusals.of_run(refused.id)] == ["game-4"]
    assert bench.stores.runs.find(refused.id) == refused
    assert len(bench.announced) == told


def test_next_sync_writes_what_was_refused_and_its_older_version_never_follows(
    bench: Bench, strapi: StrapiServer, refused: Run
) -> None:
    come_back(strapi)
    games = bench.world.games
    games["game-4"] = replace(games["game-4"], round="newer")
    following = bench.sync()
    strapi.requests.clear()

    assert following.outcome is Outcome.SUCCEEDED
    assert following.stages[Stage.GAMES].created == 1
    assert bench.stores.refusals.look() is None
    assert (bench.stores.refusals.retry(refused.id), bench.deliver(), strapi.writes) == (0, 0, [])


def test_newer_change_that_waits_takes_the_place_of_a_refused_one(
    bench: Bench, strapi: StrapiServer, refused: Run
) -> None:
    go_away(strapi)
    bench.sync()

    assert bench.stores.refusals.of_run(refused.id) == []
    assert [one.change.record_id for one in bench.outbox.first(10)] == ["game-4"]


def test_cms_is_asked_again_only_after_a_while(bench: Bench, strapi: StrapiServer) -> None:
    go_away(strapi)
    strapi.before = lambda _: Answer(0, delivery=Delivery.RESET)
    behind = bench.behind
    behind.read_seasons([ASSOCIATION])
    asked = len(strapi.requests)
    behind.read_seasons([ASSOCIATION])
    assert len(strapi.requests) == asked

    come_back(strapi)
    bench.clock.at += AWAY_FOR + timedelta(seconds=1)
    bench.stores.mirror.follow("run", Stage.GAMES, [created(season())], fence=Fence("k", 1))
    behind.read_seasons(["association-1"])
    assert strapi.requests


def test_full_outbox_makes_the_run_wait_instead(bench: Bench, strapi: StrapiServer) -> None:
    bench.outbox = SqlOutbox(bench.stores.engine, bench.clock, max_records=2)
    go_away(strapi)

    with pytest.raises(CmsUnavailable, match="outbox_max_records"):
        bench.sync()
    assert bench.outbox.backlog().count <= 2


def test_writer_whose_lease_passed_on_leaves_nothing_waiting(bench: Bench, strapi: StrapiServer) -> None:
    go_away(strapi)
    bench.outbox.put("run-2", Stage.GAMES, [created(season("s2"))], fence=Fence("playhq:x", 2))

    with pytest.raises(LeaseLost):
        bench.outbox.put("run-1", Stage.GAMES, [created(season("s1"))], fence=Fence("playhq:x", 1))
    assert set(bench.outbox.read(RecordKind.SEASON, ["s1", "s2"])) == {"s2"}


def test_delivered_record_that_was_replaced_meanwhile_still_waits(bench: Bench) -> None:
    fence = Fence("playhq:x", 1)
    bench.outbox.put("run-1", Stage.GAMES, [created(season(name="older"))], fence=fence)
    delivered = bench.outbox.first(10)
    bench.outbox.put("run-2", Stage.GAMES, [created(season(name="newer"))], fence=fence)
    bench.outbox.remove(delivered)

    (waiting,) = bench.outbox.first(10)
    assert (waiting.run_id, waiting.change.action) == ("run-2", Action.CREATED)
    assert waiting.record == season(name="newer")
