"""The truth agrees with what the wire shows, and keeps to the scope of a club and of an association."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.app import Simulator
from simulator.truth import tell
from tests.unit.simulator.asking import get, make_simulator, make_world, read, read_all


def test_an_association_is_everything_of_its_kept_seasons() -> None:
    simulator = make_simulator()
    home = simulator.world.association(0)
    told = tell(simulator.world, "association", home.id)
    assert {season["id"] for season in told["seasons"]} == {
        season["id"] for season in read_all(simulator, f"/v1/organisations/{home.id}/seasons")
    }
    kept = _kept_season_ids(told)
    assert {grade["id"] for grade in told["grades"]} == {
        grade["id"] for season in kept for grade in read_all(simulator, f"/v1/seasons/{season}/grades")
    }
    assert {team["id"] for team in told["teams"]} == {
        team["id"] for season in kept for team in read_all(simulator, f"/v1/seasons/{season}/teams")
    }
    shown = {game["id"]: game for grade in told["grades"] for game in _games(simulator, grade["id"])}
    assert {game["id"] for game in told["games"]} == set(shown)
    for game in told["games"]:
        wire = shown[game["id"]]
        assert game["status"] == wire["status"]
        assert game["outcomes"] == {side["id"]: side["outcome"] for side in wire["teams"] if side["outcome"]}
        assert [day["utc"].replace("Z", ".000Z") for day in game["days"]] == [
            day["dateTime"] for day in wire["schedule"] or []
        ]


def test_a_club_is_its_grades_their_teams_and_its_own_games() -> None:
    simulator = make_simulator()
    world = simulator.world
    club = world.association(0).clubs[0]
    told = tell(world, "club", club.id)
    own = {team["id"] for team in told["teams"] if team["club_id"] == club.id}
    assert own
    assert {grade["id"] for grade in told["grades"]} == {
        team["grade_id"] for team in told["teams"] if team["id"] in own and team["grade_id"]
    }
    assert all({game["home_id"], game["away_id"]} & own for game in told["games"])
    teams = {team["id"] for team in told["teams"]}
    assert all({game["home_id"], game["away_id"]} <= teams for game in told["games"])
    association = tell(world, "association", world.association(0).id)
    everything = {game["id"]: game for game in association["games"]}
    assert all(everything[game["id"]] == game for game in told["games"])
    assert len(told["games"]) < len(everything)


def test_a_club_of_two_associations_has_both() -> None:
    world = make_world()
    club = world.association(2).clubs[0]
    told = tell(world, "club", club.id)
    assert len({season["association_id"] for season in told["seasons"]}) == 2


def test_old_seasons_are_listed_and_not_followed() -> None:
    world = make_world()
    told = tell(world, "association", world.association(0).id)
    old = [
        season for season in told["seasons"] if season["status"] == "COMPLETED" and not season["first_day"]
    ]
    recent = [season for season in told["seasons"] if season["status"] == "COMPLETED" and season["first_day"]]
    assert old
    assert recent
    assert not [grade for grade in told["grades"] if grade["season_id"] == old[0]["id"]]


def test_days_are_local_to_the_ground() -> None:
    world = make_world()
    told = tell(world, "association", world.association(0).id)
    days = [day for game in told["games"] for day in game["days"]]
    assert any(day["date"] != day["utc"][:10] for day in days)


def test_registrations_add_the_season_that_the_listing_lacks() -> None:
    world = make_world()
    home = world.association(1)
    without = tell(world, "association", home.id, has_hints=False)
    with_hints = tell(world, "association", home.id)
    assert len(with_hints["seasons"]) == len(without["seasons"]) + 1
    assert len(with_hints["games"]) > len(without["games"])
    (hinted,) = (season for season in with_hints["seasons"] if season not in without["seasons"])
    assert (hinted["status"], hinted["competition_id"]) == (None, None)
    assert hinted["competition_name"]


def test_an_unknown_organisation_is_an_error() -> None:
    world = make_world()
    with pytest.raises(KeyError):
        tell(world, "club", world.association(0).id)


def test_the_truth_has_an_address() -> None:
    simulator = make_simulator()
    home = simulator.world.association(0)
    told = read(get(simulator, f"/_simulator/truth/association/{home.id}"))
    assert told == tell(simulator.world, "association", home.id)
    assert get(simulator, "/_simulator/truth/club/nobody").status == 400


def _kept_season_ids(told: dict[str, Any]) -> set[str]:
    followed = {grade["season_id"] for grade in told["grades"]}
    active = {season["id"] for season in told["seasons"] if season["status"] != "COMPLETED"}
    return followed | active


def _games(simulator: Simulator, grade_id: str) -> list[Any]:
    rounds = read(get(simulator, f"/v2/grades/{grade_id}/games"))["rounds"]
    return [game for each in rounds for game in each["games"]]
