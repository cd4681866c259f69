"""PlayHQ's public tier: addresses, envelopes, pages, errors and the quirks of each record."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from simulator.world.model import Format
from tests.unit.simulator.asking import all_fixtures, get, make_simulator, read, read_all

NOBODY = "00000000-0000-4000-8000-000000000000"


def test_seasons_have_the_published_shape() -> None:
    simulator = make_simulator()
    home = simulator.world.association(0)
    listing = read(get(simulator, f"/v1/organisations/{home.id}/seasons"))
    assert set(listing) == {"data", "metadata"}
    assert listing["metadata"] == {"hasMore": False, "nextCursor": None}
    season = listing["data"][0]
    assert set(season) == {"id", "name", "status", "association", "competition", "createdAt", "updatedAt"}
    assert season["association"]["url"].endswith(f"/{home.id[:8]}")
    assert season["association"]["logo"]["sizes"][0]["dimensions"] == {"width": 64, "height": 64}
    assert {each["status"] for each in listing["data"]} == {"ACTIVE", "COMPLETED", "UPCOMING"}
    assert len({each["name"] for each in listing["data"]}) < len(listing["data"])


def test_grades_have_three_fields() -> None:
    simulator = make_simulator()
    season = simulator.world.association(0).seasons[0]
    grades = read_all(simulator, f"/v1/seasons/{season.id}/grades")
    assert all(set(grade) == {"id", "name", "url"} for grade in grades)
    assert all(grade["url"].endswith(f"/{grade['id'][:8]}") for grade in grades)


def test_teams_may_lack_name_club_and_grade() -> None:
    simulator = make_simulator()
    season = simulator.world.association(0).seasons[0]
    teams = read_all(simulator, f"/v1/seasons/{season.id}/teams")
    assert any("name" not in team for team in teams)
    assert any(team["club"] is None for team in teams)
    assert any(team["grade"] is None for team in teams)
    assert all(team["createdAt"] for team in teams)


def test_listings_come_in_pages_of_a_hundred_with_opaque_cursors() -> None:
    simulator = make_simulator("club")
    season = simulator.world.association(0).seasons[0]
    first = read(get(simulator, f"/v1/seasons/{season.id}/teams"))
    assert len(first["data"]) == 100
    assert first["metadata"] == {"hasMore": True, "nextCursor": "MTAw"}
    assert len({team["id"] for team in read_all(simulator, f"/v1/seasons/{season.id}/teams")}) == 277
    assert get(simulator, f"/v1/seasons/{season.id}/teams?cursor=%21").status == 400


def test_fixtures_stand_at_the_top_level_grouped_by_round() -> None:
    simulator = make_simulator()
    for grade, fixture in all_fixtures(simulator):
        assert set(fixture) == {"rounds", "teams", "playingSurfaces"}
        assert len(fixture["rounds"]) == grade.rounds_count
        surfaces = {surface["id"] for surface in fixture["playingSurfaces"]}
        for round_ in fixture["rounds"]:
            assert {"id", "name", "abbreviatedName", "isFinalRound", "games"} <= set(round_)
            for game in round_["games"]:
                assert {"id", "status", "type", "url", "createdAt", "updatedAt", "teams"} <= set(game)
                assert [side["isHomeTeam"] for side in game["teams"]] == [True, False]
                assert {day["playingSurfaceId"] for day in game["schedule"] or []} <= surfaces


def test_byes_spell_their_key_both_ways() -> None:
    byes = [
        bye
        for _, fixture in all_fixtures(make_simulator())
        for each in fixture["rounds"]
        for bye in each["byes"]
    ]
    assert Counter(key for bye in byes for key in bye).keys() == {"teamID", "teamId"}


def test_two_day_games_have_two_numbered_days() -> None:
    games = _games(make_simulator())
    two_days = [game for game in games if game["type"] == "twoDay"]
    assert two_days
    assert all([day["day"] for day in game["schedule"]] == [1, 2] for game in two_days)
    assert all(
        game["schedule"][0]["day"] is None for game in games if game["type"] == "t20" and game["schedule"]
    )
    assert any(game["schedule"] is None and game["status"] == "PENDING" for game in games)


def test_saturday_mornings_are_fridays_in_utc() -> None:
    simulator = make_simulator()
    zone = ZoneInfo("Australia/Sydney")
    starts = [
        datetime.fromisoformat(game["schedule"][0]["dateTime"])
        for game in _games(simulator)
        if game["schedule"] and game["type"] == "oneDay"
    ]
    assert any(start.date() != start.astimezone(zone).date() for start in starts)


def test_numbers_come_as_numbers_and_as_text() -> None:
    simulator = make_simulator()
    kinds = {
        type(entry["value"])
        for game in _games(simulator)
        for period in game["periods"] or []
        for side in period["teams"]
        for entry in side["outcome"]["statistics"]
    }
    assert {int, float, str} == kinds
    postcodes = {
        type(surface["venue"]["address"]["postcode"])
        for _, fixture in all_fixtures(simulator)
        for surface in fixture["playingSurfaces"]
    }
    assert postcodes == {int, str}


def test_innings_never_reached_are_empty_or_zero() -> None:
    games = _games(make_simulator())
    forfeits = [game for game in games if "WON_BY_FORFEIT" in [side["outcome"] for side in game["teams"]]]
    assert forfeits
    assert all(
        _values(period) == [] for game in forfeits for period in game["periods"] if game["type"] != "twoDay"
    )
    assert any(
        set(map(float, _values(period))) == {0.0}
        for game in games
        if game["type"] == "twoDay"
        for period in game["periods"] or []
    )


def test_ladders_are_positional_and_absent_for_juniors() -> None:
    simulator = make_simulator()
    seen = Counter[str]()
    for grade, _ in all_fixtures(simulator):
        answer = read(get(simulator, f"/v2/grades/{grade.id}/ladder"))
        assert set(answer) == {"gradeId", "conferences", "ladders"}
        assert bool(answer["ladders"]) == grade.has_ladder
        for ladder in answer["ladders"]:
            seen[ladder["type"]] += 1
            assert all(len(row["values"]) == len(ladder["headers"]) for row in ladder["standings"])
        if grade.pools_count > 1:
            assert all(ladder["pool"] for ladder in answer["ladders"])
    assert {"overall", "twoDay", "oneDay"} <= seen.keys()


def test_points_sports_score_through_match_and_the_flat_fixture() -> None:
    simulator = make_simulator()
    grade = next(grade for grade, _ in all_fixtures(simulator, "afl"))
    fixture = read(get(simulator, f"/v2/grades/{grade.id}/games", tenant="afl"))
    played = [game for each in fixture["rounds"] for game in each["games"] if game["match"]]
    assert played
    assert all(game["periods"] is None for game in played)
    flat = read(get(simulator, f"/v1/grades/{grade.id}/games", tenant="afl"))["data"]
    competitor = next(each for game in flat for each in game["competitors"] if "scoreTotal" in each)
    assert competitor["scoreTotal"] == sum(part["value"] for part in competitor["scoreSubTotal"])
    assert set(flat[0]["schedule"]) == {"date", "time", "timezone"}
    ladder = read(get(simulator, f"/v1/grades/{grade.id}/ladder", tenant="afl"))["data"]
    assert ladder["ladders"][0]["standings"][0]["ranking"] == 1


def test_the_flat_fixture_adds_cricket_innings_together() -> None:
    """The trap that a cricket tenant's adapter has to keep out of."""
    simulator = make_simulator()
    grade = next(grade for grade, _ in all_fixtures(simulator) if grade.game_format is Format.ONE_DAY)
    flat = read_all(simulator, f"/v1/grades/{grade.id}/games")
    totals = [
        [each.get("scoreTotal") for each in game["competitors"]] for game in flat if game["status"] == "FINAL"
    ]
    assert any(one == other and one for one, other in totals)


def test_a_team_fixture_names_its_grade() -> None:
    simulator = make_simulator()
    team = simulator.world.association(0).seasons[0].grades[0].entrants[0]
    games = read_all(simulator, f"/v1/teams/{team.id}/fixture")
    assert games
    assert all(game["grade"]["id"] == team.grade.id for game in games if team.grade)


def test_summaries_tell_one_game() -> None:
    simulator = make_simulator()
    game = _games(simulator)[0]
    told = read(get(simulator, f"/v2/games/{game['id']}/summary"))["data"]
    assert told["id"] == game["id"]
    assert told["appearances"] == []
    assert all(side["name"] for side in told["teams"])
    assert get(simulator, f"/v2/games/{NOBODY}/summary").status == 404


def test_a_clubs_own_listing_is_incomplete() -> None:
    simulator = make_simulator()
    home = simulator.world.association(0)
    club = next(club for club in home.clubs if any(team.club is club for team in home.seasons[2].teams))
    own = read_all(simulator, f"/v1/organisations/{club.id}/seasons")
    assert 0 < len(own) < len(home.seasons)
    assert all(season["association"]["id"] == home.id for season in own)


def test_a_new_season_shows_in_the_registrations_first() -> None:
    simulator = make_simulator()
    home = simulator.world.association(1)
    listed = {season["id"] for season in read_all(simulator, f"/v1/organisations/{home.id}/seasons")}
    open_forms = read(get(simulator, f"/v1/organisations/{home.id}/registrations"))
    assert "metadata" not in open_forms
    missing = [form for form in open_forms["data"] if form["seasonId"] not in listed]
    assert missing
    assert read_all(simulator, f"/v1/seasons/{missing[0]['seasonId']}/teams")


def test_hidden_grades_are_left_out_and_not_found() -> None:
    simulator = make_simulator()
    season = simulator.world.association(0).seasons[0]
    hidden = next(grade for grade in season.grades if grade.is_hidden)
    listed = read_all(simulator, f"/v1/seasons/{season.id}/grades")
    assert hidden.id not in {grade["id"] for grade in listed}
    teams = read_all(simulator, f"/v1/seasons/{season.id}/teams")
    assert hidden.id not in {team["grade"]["id"] for team in teams if team["grade"]}
    assert get(simulator, f"/v2/grades/{hidden.id}/games").status == 404


def test_an_unknown_tenant_answers_with_emptiness() -> None:
    simulator = make_simulator()
    home = simulator.world.association(0)
    grade = home.seasons[0].grades[0]
    assert read(get(simulator, f"/v1/organisations/{home.id}/seasons", tenant="nobody"))["data"] == []
    assert read(get(simulator, f"/v1/seasons/{home.seasons[0].id}/teams", tenant="nobody"))["data"] == []
    assert all(not each["games"] for each in _rounds(simulator, grade.id, tenant="nobody"))


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/organisations/{NOBODY}/seasons",
        f"/v1/seasons/{NOBODY}/grades",
        f"/v1/seasons/{NOBODY}/teams",
        f"/v2/grades/{NOBODY}/games",
        f"/v2/grades/{NOBODY}/ladder",
        f"/v2/grades/{NOBODY}/fixture",
        "/v1/competitions/1",
        "/",
    ],
)
def test_what_does_not_exist_is_a_404_in_json(path: str) -> None:
    answer = get(make_simulator(), path)
    assert answer.status == 404
    assert answer.content_type.startswith("application/json")


def test_a_bad_key_is_refused_in_json() -> None:
    simulator = make_simulator(api_keys=["good"])
    target = f"/v1/organisations/{simulator.world.association(0).id}/seasons"
    assert get(simulator, target, key="good").status == 200
    for key in ("", "expired", "other"):
        refused = get(simulator, target, key=key)
        assert (refused.status, refused.content_type[:16]) == (403, "application/json")
    assert get(simulator, target, key="good", tenant="").status == 400


def test_unchanged_answers_are_not_sent_again() -> None:
    simulator = make_simulator()
    target = f"/v1/organisations/{simulator.world.association(0).id}/seasons"
    etag = dict(get(simulator, target).headers)["ETag"]
    again = get(simulator, target, if_none_match=etag)
    assert (again.status, again.body) == (304, b"")
    simulator.world.advance(150)
    assert get(simulator, target, if_none_match=etag).status == 200
    assert get(make_simulator(sends_etags=False), target).headers == ()


def _rounds(simulator: Any, grade_id: str, *, tenant: str = "ca") -> Any:
    return read(get(simulator, f"/v2/grades/{grade_id}/games", tenant=tenant))["rounds"]


def _games(simulator: Any) -> list[Any]:
    return [
        game for _, fixture in all_fixtures(simulator) for each in fixture["rounds"] for game in each["games"]
    ]


def _values(period: Any) -> list[Any]:
    return [entry["value"] for side in period["teams"] for entry in side["outcome"]["statistics"]]
