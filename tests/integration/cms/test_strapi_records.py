"""What the adapter writes to Strapi, and how little of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from cms.strapi.adapter import StrapiCms
from stores.sql.stores import SqlStores
from sync.changes import Action, Change
from sync.model import Record
from sync.ports import Fence, Quarantined
from sync.report import Stage
from tests.integration.cms.conftest import OpenStrapi
from tests.records import created, game, grade, ladder, removed, restored, season, team, updated
from tests.strapi.server import StrapiServer

FENCE = Fence("playhq:club-1", 1)
SEASON = season(last_day=date(2032, 3, 7))
FAMILY: tuple[Record, ...] = (
    SEASON,
    grade(),
    team("home"),
    team("away", name="Terns", club_id="club-2"),
    game(),
    ladder(),
)


def apply(cms: StrapiCms, *changes: Change, run_id: str = "run-1") -> Sequence[Quarantined]:
    return cms.apply(run_id, Stage.GAMES, changes, fence=FENCE)


@pytest.fixture
def filled(cms: StrapiCms, strapi: StrapiServer) -> StrapiCms:
    strapi.add("clubs", Name="Hawks", PlayHQID="club-1")
    assert apply(cms, *map(created, FAMILY)) == []
    strapi.requests.clear()
    return cms


def test_rows_hold_what_the_consumers_of_the_cms_compare_with(
    filled: StrapiCms, strapi: StrapiServer
) -> None:
    (competition,) = strapi.rows("competitions")
    (stored,) = strapi.rows("game-meta-datas")

    assert {name: value for name, value in competition.items() if value is not None} == {
        "competitionId": "season-1",
        "competitionName": "Senior Competition",
        "season": "Summer 2031/32",
        "status": "Active",
        "orgName": "Harbour Cricket",
        "startDate": "04 Oct 2031",
        "endDate": "07 Mar 2032",
    }
    assert {name: value for name, value in stored.items() if value is not None} == {
        "gameID": "game-1",
        "round": "Round 3",
        "status": "Final",
        "type": "Two Day+",
        "date": "Saturday, 18 October 2031",
        "dayOne": "2031-10-18T00:00:00.000Z",
        "dateRangeObj": ["Saturday, 18 October 2031", "Saturday, 25 October 2031"],
        "finalDaysPlay": "2031-10-25",
        "time": "11:00 AM",
        "ground": "Harbour Park / Oval 1",
        "urlToScoreCard": "https://example.test/game-1",
        "teamHome": "Hawks 1st XI",
        "teamAway": "Terns",
        "teamHomeID": "home",
        "teamAwayID": "away",
        "isFinished": True,
        "isDeleted": False,
        "scorecards": {
            "innings": [{"teamID": "home", "innings": 1, "runs": 187, "wickets": 9, "overs": 41.2}],
            "points": {"away": {"goals": 3, "behinds": 2, "total": 20}},
            "outcomes": {"home": "WON", "away": "LOST"},
        },
    }


def test_rows_are_related_as_their_records_are(filled: StrapiCms, strapi: StrapiServer) -> None:
    assert strapi.linked("competitions", "association", "Name") == [["Harbour"]]
    assert strapi.linked("grades", "competition", "competitionId") == [["season-1"]]
    assert strapi.linked("teams", "competition", "competitionId") == [["season-1"], ["season-1"]]
    assert strapi.linked("teams", "grades", "gradeId") == [["grade-1"], ["grade-1"]]
    assert sorted(strapi.linked("teams", "club", "PlayHQID")) == [[], ["club-1"]]
    assert strapi.linked("game-meta-datas", "grade", "gradeId") == [["grade-1"]]
    assert strapi.linked("game-meta-datas", "teams", "teamID") == [["away", "home"]]


def test_ladder_is_a_column_of_its_grade(filled: StrapiCms, strapi: StrapiServer) -> None:
    (stored,) = strapi.rows("grades")

    assert [(row["position"], row["teamName"], row["W"]) for row in stored["ladder"]] == [
        (1, "Hawks 1st XI", 3),
        (2, "Terns", 1),
    ]


def test_club_is_linked_to_the_competitions_of_its_teams_once(
    filled: StrapiCms, strapi: StrapiServer
) -> None:
    apply(filled, created(team("second")), run_id="run-2")

    assert strapi.linked("club-to-competitions", "club", "PlayHQID") == [["club-1"]]
    assert strapi.linked("club-to-competitions", "competition", "competitionId") == [["season-1"]]


def test_second_read_finds_everything_and_writes_nothing(filled: StrapiCms, strapi: StrapiServer) -> None:
    stored = {
        **filled.read_seasons(["association-1"]),
        **filled.read_grades(["season-1"]),
        **filled.read_teams(["season-1"]),
        **filled.read_games(["grade-1"]),
        **filled.read_ladders(["grade-1"]),
    }

    assert stored == {record.id: record for record in FAMILY}
    assert strapi.writes == []


def test_lost_local_database_makes_no_duplicates_and_no_writes(
    filled: StrapiCms, strapi: StrapiServer, open_strapi: OpenStrapi, other_stores: SqlStores
) -> None:
    again = open_strapi(other_stores)
    refused = apply(again, *map(created, FAMILY))

    assert refused == []
    assert strapi.writes == []
    assert again.count_changes("run-1") == {}
    assert again.read_games(["grade-1"]) == {"game-1": game()}


def test_update_sends_only_what_differs(filled: StrapiCms, strapi: StrapiServer) -> None:
    moved = game(round="Semi Final")
    apply(filled, updated(game(), moved), run_id="run-2")

    assert len(strapi.writes) == 1
    assert strapi.rows("game-meta-datas")[0]["round"] == "Semi Final"
    assert filled.count_changes("run-2") == {Stage.GAMES: {Action.UPDATED: 1}}


def test_regraded_team_keeps_its_earlier_grade(filled: StrapiCms, strapi: StrapiServer) -> None:
    regraded = team("home", grade_id="grade-2")
    apply(filled, created(grade("grade-2", name="B Grade")), updated(team("home"), regraded))

    assert sorted(strapi.linked("teams", "grades", "gradeId")) == [["grade-1"], ["grade-1", "grade-2"]]


def test_game_with_another_opponent_loses_the_former_one(filled: StrapiCms, strapi: StrapiServer) -> None:
    replayed = game(away_id="third")
    apply(filled, created(team("third")), updated(game(), replayed))

    assert strapi.linked("game-meta-datas", "teams", "teamID") == [["home", "third"]]


def test_competition_keeps_its_other_associations(filled: StrapiCms, strapi: StrapiServer) -> None:
    strapi.add("associations", Name="District", href="https://example.test/org/association-2/")
    shared = replace(SEASON, association_id="association-2")
    apply(filled, updated(SEASON, shared))

    assert strapi.linked("competitions", "association", "Name") == [["District", "Harbour"]]


def test_removed_game_is_marked_with_reason_and_can_be_restored(
    filled: StrapiCms, strapi: StrapiServer
) -> None:
    apply(filled, removed(game()))
    (marked,) = strapi.rows("game-meta-datas")
    apply(filled, restored(game()))
    (back,) = strapi.rows("game-meta-datas")

    assert (marked["isDeleted"], marked["deletionReason"]) == (True, "missing for 3 days")
    assert marked["deletedAt"] is not None
    assert (back["isDeleted"], back["deletionReason"], back["deletedAt"]) == (False, None, None)


def test_row_that_somebody_edited_is_seen_and_put_right(filled: StrapiCms, strapi: StrapiServer) -> None:
    strapi.edit("game-meta-datas", round="by hand")
    seen = filled.read_games(["grade-1"])["game-1"]
    apply(filled, updated(seen, game()), run_id="run-2")

    assert seen == game(round="by hand")
    assert filled.read_games(["grade-1"]) == {"game-1": game()}


def test_row_that_somebody_deleted_is_missed_and_made_again(filled: StrapiCms, strapi: StrapiServer) -> None:
    strapi.delete("game-meta-datas")
    missed = filled.read_games(["grade-1"])
    apply(filled, created(game()), run_id="run-2")

    assert missed == {}
    assert len(strapi.rows("game-meta-datas")) == 1
    assert filled.count_changes("run-2") == {Stage.GAMES: {Action.CREATED: 1}}


def test_date_in_another_form_is_no_difference(filled: StrapiCms, strapi: StrapiServer) -> None:
    strapi.edit("competitions", startDate="2031-10-04")

    assert filled.read_seasons(["association-1"]) == {"season-1": SEASON}


@pytest.mark.parametrize(
    ("sport", "collection"),
    [("Hockey", "game-data-hockeys"), ("", "game-meta-datas"), (None, "game-meta-datas")],
)
def test_sport_decides_where_games_go(
    cms: StrapiCms, strapi: StrapiServer, sport: str | None, collection: str
) -> None:
    strapi.add("associations", Name="Other", href="/org/other/association-2", Sport=sport)
    apply(cms, *map(created, (season(association_id="association-2"), *FAMILY[1:5])))

    assert len(strapi.rows(collection)) == 1


def test_of_two_rows_with_one_key_the_oldest_is_kept_up_and_none_is_added(
    filled: StrapiCms, strapi: StrapiServer
) -> None:
    (competition,) = strapi.entries("competitions")
    strapi.add("teams", teamID="home", teamName="Hawks 1st XI", competition=[competition])
    apply(filled, updated(team("home"), team("home", name="Hawks Gold")))

    names = [row["teamName"] for row in strapi.rows("teams") if row["teamID"] == "home"]
    assert names == ["Hawks Gold", "Hawks 1st XI"]


def test_row_of_another_record_with_the_same_short_code_is_left_alone(
    filled: StrapiCms, strapi: StrapiServer
) -> None:
    elsewhere = strapi.add("competitions", competitionId="elsewhere", competitionName="Elsewhere")
    strapi.add("teams", teamID="stranger", teamName="Strangers", competition=[elsewhere])
    refused = apply(filled, created(team("stranger", name="Newcomers")))

    assert [record.record_id for record in refused] == ["stranger"]
    assert "belongs to another record" in refused[0].reason
    assert "Newcomers" not in [row["teamName"] for row in strapi.rows("teams")]


@pytest.mark.parametrize("column", ["competitionUrl", "url"])
def test_competition_whose_key_nobody_filled_in_is_known_by_its_address(
    cms: StrapiCms, strapi: StrapiServer, column: str
) -> None:
    strapi.add("competitions", **{column: "/org/harbour/season-1/"})
    assert apply(cms, created(SEASON)) == []
    strapi.requests.clear()
    assert apply(cms, created(SEASON)) == []

    assert [row["competitionId"] for row in strapi.rows("competitions")] == ["season-1"]
    assert strapi.writes == []


def test_grades_whose_keys_nobody_filled_in_are_known_by_their_addresses(
    cms: StrapiCms, strapi: StrapiServer
) -> None:
    grades = [grade(f"grade-{number}", url=f"/a/grade-{number}") for number in range(60)]
    strapi.add("grades", gradeName="Of another record", url="/a/grade-3", gradeId="elsewhere")
    for one in grades[1:]:
        strapi.add("grades", gradeName=one.name, url=one.url)
    assert apply(cms, created(SEASON), *map(created, grades)) == []

    keys = [row["gradeId"] for row in strapi.rows("grades")]
    assert sorted(keys) == sorted(["elsewhere", *(one.id for one in grades)])


def test_grades_are_left_to_a_cms_that_makes_them_itself(
    strapi: StrapiServer, open_strapi: OpenStrapi, stores: SqlStores
) -> None:
    cms = open_strapi(stores, create_grades=False)
    before = apply(cms, *map(created, FAMILY))
    (competition,) = strapi.entries("competitions")
    strapi.add("grades", gradeId="grade-1", gradeName="A Grade", competition=[competition])
    after = apply(cms, *map(created, FAMILY))

    assert "makes its grades itself" in before[0].reason
    assert after == []
    assert len(strapi.rows("grades")) == 1


def test_unchanged_future_days_are_not_written_again(filled: StrapiCms, strapi: StrapiServer) -> None:
    longer = replace(SEASON, last_day=date(2032, 3, 7) + timedelta(days=7))
    apply(filled, updated(SEASON, longer))
    strapi.requests.clear()
    apply(filled, updated(SEASON, longer))

    assert strapi.writes == []
