"""Play-Cricket's API v3: envelopes, parameters, codes, deletions, numbers that last."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from simulator.app import Simulator
from simulator.changes import Changes
from simulator.server import Answer, Request
from tests.unit.simulator.asking import get, make_simulator, read

LEAGUE = 900


@pytest.fixture
def simulator() -> Simulator:
    return make_simulator()


def ask(simulator: Simulator, name: str, **query: object) -> Answer:
    given = "&".join(f"{key}={value}" for key, value in {"api_token": "token-9876", **query}.items())
    return simulator.handle(Request("GET", f"/play-cricket/api/v3/{name}.json?{given}", {}))


def all_pages(simulator: Simulator, name: str, **query: object) -> list[Any]:
    items: list[Any] = []
    page = 0
    has_next = True
    while has_next:
        page += 1
        told = read(ask(simulator, name, page=page, **query))
        items += told["data"]
        has_next = told["has_next_page"]
    return items


def year(simulator: Simulator) -> str:
    return str(simulator.world.association(0).seasons[0].first_day.year)


def test_matches_come_in_pages_and_as_text(simulator: Simulator) -> None:
    matches = all_pages(simulator, "matches", site_id=LEAGUE, season=year(simulator))
    assert len(matches) > 100
    assert len({match["id"] for match in matches}) == len(matches)
    match = next(match for match in matches if match["match_date"])
    assert len(match["match_date"].split("/")) == 3
    assert all(isinstance(value, str) for key, value in match.items() if key != "id")
    assert {match["competition_type"] for match in matches} == {"League", "Cup"}


def test_a_club_sees_its_own_matches(simulator: Simulator) -> None:
    club = read(get(simulator, "/_simulator/accounts?provider=playcricket"))[6]
    assert club["type"] == "club"
    matches = all_pages(simulator, "matches", site_id=club["organisation"], season=year(simulator))
    assert matches
    assert all(club["organisation"] in (match["home_club_id"], match["away_club_id"]) for match in matches)


def test_results_have_a_code_innings_and_points(simulator: Simulator) -> None:
    results = all_pages(simulator, "result_summary", site_id=LEAGUE, season=year(simulator))
    codes = {result["result"] for result in results}
    assert {"W", "A", "C"} <= codes
    assert codes & {"Con", "CON"}
    won = next(result for result in results if result["result"] == "W" and len(result["innings"]) == 2)
    assert won["result_applied_to"] in (won["home_team_id"], won["away_team_id"])
    runs = {innings["team_batting_id"]: int(innings["runs"]) for innings in won["innings"]}
    assert runs[won["result_applied_to"]] == max(runs.values())


def test_a_removed_match_is_marked_deleted(simulator: Simulator) -> None:
    changes = Changes(simulator.world)
    home = simulator.world.association(0)
    (change,) = (
        each
        for each in changes.apply("remove_game", organisation_id=home.id)["changes"]
        if each["record"] == "game"
    )
    assert change["action"] == "removed"
    matches = all_pages(simulator, "matches", site_id=LEAGUE, season=year(simulator))
    assert [match["status"] for match in matches].count("Deleted") == 1


def test_divisions_and_cups_have_teams_and_tables(simulator: Simulator) -> None:
    divisions, cups = (
        read(ask(simulator, "competitions", league_id=LEAGUE, season=year(simulator), competition_type=kind))[
            "competitions"
        ]
        for kind in ("divisions", "cups")
    )
    assert divisions
    assert cups
    teams = read(ask(simulator, "competition_teams", id=divisions[0]["id"]))["competition_teams"]
    assert {"club_id", "club_name", "team_id", "team_name"} == set(teams[0])
    (table,) = read(ask(simulator, "league_table", division_id=divisions[0]["id"]))["league_table"]
    assert table["headings"]["column_1"] == "Team"
    assert {row["team_id"] for row in table["values"]} <= {str(team["team_id"]) for team in teams}
    assert read(ask(simulator, "league_table", division_id=cups[0]["id"]))["league_table"] == []


def test_one_match_is_told_in_detail(simulator: Simulator) -> None:
    match = all_pages(simulator, "matches", site_id=LEAGUE, season=year(simulator))[0]
    (detail,) = read(ask(simulator, "match_detail", match_id=match["id"]))["match_details"]
    assert detail["id"] == match["id"]
    assert ask(simulator, "match_detail", match_id=1).status == 404


def test_entry_dates_are_half_open(simulator: Simulator) -> None:
    today = simulator.world.today
    Changes(simulator.world).apply("cancel", organisation_id=simulator.world.association(0).id)

    def entered(first: int, last: int) -> int:
        window = {
            "from_entry_date": (today + timedelta(first)).strftime("%d/%m/%Y"),
            "end_entry_date": (today + timedelta(last)).strftime("%d/%m/%Y"),
        }
        return len(all_pages(simulator, "matches", site_id=LEAGUE, season=year(simulator), **window))

    assert entered(0, 1) == 1
    assert entered(0, 0) == 0


def test_numbers_last_over_the_seasons(simulator: Simulator) -> None:
    home = simulator.world.association(3)
    this_year, last_year = (
        {
            side["team_id"]
            for division in read(
                ask(
                    simulator, "competitions", league_id=LEAGUE + 3,
                    season=season.first_day.year, competition_type="divisions",
                )
            )["competitions"]
            for side in read(ask(simulator, "competition_teams", id=division["id"]))["competition_teams"]
        }
        for season in home.seasons
    )  # fmt: skip
    assert last_year
    assert last_year <= this_year


def test_sites_list_leagues_clubs_and_teams(simulator: Simulator) -> None:
    assert read(ask(simulator, "league_sites"))["leagues"][0]["league_id"] == LEAGUE
    club = read(ask(simulator, "clubs"))["clubs"][0]
    teams = read(ask(simulator, f"sites/{club['id']}/teams", site_type="club"))["teams"]
    assert all(team["site_id"] == club["id"] for team in teams)
    assert read(ask(simulator, f"sites/{club['id']}/players"))["players"] == []


def test_what_is_wrong_has_its_status(simulator: Simulator) -> None:
    assert ask(simulator, "matches", api_token="").status == 401
    assert ask(simulator, "matches", api_token="expired").status == 401
    assert ask(simulator, "matches", site_id=LEAGUE, season=2031).status == 400
    assert ask(simulator, "matches", site_id="x", season=2031, page=1).status == 400
    assert ask(simulator, "matches", site_id=1, season=2031, page=1).status == 403
    assert ask(simulator, "nonsense").status == 404
    assert read(ask(simulator, "matches", site_id=LEAGUE, season=1999, page=1))["data"] == []


def test_the_token_is_not_in_the_log(simulator: Simulator) -> None:
    request = Request("GET", "/play-cricket/api/v3/clubs.json?api_token=token-9876&x=1", {})
    simulator.done(request, simulator.handle(request), 0.01)
    shown = read(get(simulator, "/_simulator/log"))[-1]
    assert shown["target"] == "/play-cricket/api/v3/clubs.json?api_token=…&x=1"
    assert shown["key"] == "…9876"
