"""Changes on demand: what is answered is exactly what looks different afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.changes import Changes, NothingToChangeError
from simulator.truth import tell
from simulator.world.world import World
from tests.unit.simulator.asking import get, make_simulator, make_world, post, read

KINDS = Changes(make_world()).kinds


def test_all_kinds_are_known() -> None:
    assert {
        "result",
        "move",
        "regrade",
        "remove_game",
        "hide_grade",
        "rename_team",
        "add_game",
        "cancel",
    } <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_the_answer_is_the_difference_in_truth(kind: str) -> None:
    world = make_world()
    home = world.association(0)
    changes = Changes(world)
    if kind == "restore_game":
        changes.apply("remove_game", organisation_id=home.id)
    before = _records(world, "association", home.id)
    answer = changes.apply(kind, organisation_id=home.id)
    after = _records(world, "association", home.id)
    told = {change["id"] for change in answer["changes"]}
    differing = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert told == differing
    assert answer["associations"] == [home.id]


def test_one_change_after_another_answers_its_own_difference_alone() -> None:
    world = make_world()
    home = world.association(0)
    changes = Changes(world)
    for kind in (*KINDS, "a night", *reversed(KINDS)):
        if kind == "a night":
            world.advance(1)
            continue
        if kind == "restore_game":
            changes.apply("remove_game", organisation_id=home.id)
        before = _records(world, "association", home.id)
        answer = changes.apply(kind, organisation_id=home.id)
        after = _records(world, "association", home.id)
        told = {change["id"]: change["action"] for change in answer["changes"]}
        differing = {
            key: "updated" if key in before and key in after else "created" if key in after else "removed"
            for key in before.keys() | after.keys()
            if before.get(key) != after.get(key)
        }
        assert told == differing, kind


@pytest.mark.parametrize("kind", ["result", "move", "cancel", "rename_grade"])
def test_only_the_named_clubs_see_a_change(kind: str) -> None:
    world = make_world()
    home = world.association(0)
    before = {club.id: _records(world, "club", club.id) for club in home.clubs}
    answer = Changes(world).apply(kind, organisation_id=home.id)
    seen = {club.id for club in home.clubs if _records(world, "club", club.id) != before[club.id]}
    assert seen <= set(answer["clubs"])
    assert seen


def test_a_quiet_regrade_is_one_field_of_one_team_for_its_club() -> None:
    world = make_world()
    home = world.association(0)
    club = home.clubs[0]
    before = _records(world, "club", club.id)
    answer = Changes(world).apply("regrade", organisation_id=club.id)
    after = _records(world, "club", club.id)
    assert [(change["record"], list(change["fields"])) for change in answer["changes"]] == [
        ("team", ["grade_id"])
    ]
    assert [key for key in before if before[key] != after.get(key)] == [answer["changes"][0]["id"]]
    assert before.keys() == after.keys()


def test_a_result_brings_the_score_and_the_ladder() -> None:
    world = make_world()
    home = world.association(3)
    answer = Changes(world).apply("result", organisation_id=home.id)
    by_record = {change["record"]: change for change in answer["changes"]}
    assert by_record["game"]["fields"]["status"] == ["UPCOMING", "FINAL"]
    assert by_record["game"]["fields"]["innings"][0] == []
    assert "rows" in by_record["ladder"]["fields"]


def test_a_moved_game_keeps_its_id_and_its_local_time() -> None:
    world = make_world()
    answer = Changes(world).apply("move", organisation_id=world.association(0).id)
    game = next(change for change in answer["changes"] if change["record"] == "game")
    before, after = game["fields"]["days"]
    assert before[0]["time"] == after[0]["time"]
    assert before[0]["date"] < after[0]["date"]


def test_a_named_record_is_the_one_that_changes() -> None:
    world = make_world()
    grade = world.association(0).seasons[0].grades[0]
    game = [game for game in world.games(grade) if game.status == "UPCOMING"][-1]
    answer = Changes(world).apply("cancel", record_id=game.id)
    assert [change["id"] for change in answer["changes"]] == [game.id]
    with pytest.raises(NothingToChangeError, match="no upcoming game"):
        Changes(world).apply("cancel", record_id=game.id)


def test_the_same_changes_give_the_same_world() -> None:
    worlds = make_world(), make_world()
    for world in worlds:
        changes = Changes(world)
        for kind in ("result", "move", "add_game", "regrade", "hide_grade"):
            changes.apply(kind, organisation_id=world.association(0).id)
    one, other = (_records(world, "association", world.association(0).id) for world in worlds)
    assert one == other


def test_changes_come_over_http_and_wake_the_etag() -> None:
    simulator = make_simulator()
    grade = simulator.world.association(0).seasons[0].grades[0]
    target = f"/v2/grades/{grade.id}/games"
    etag = dict(get(simulator, target).headers)["ETag"]
    game = [game for game in simulator.world.games(grade) if game.status == "UPCOMING"][-1]
    one = read(post(simulator, "/_simulator/changes", {"kind": "cancel", "id": game.id}))
    assert one["changes"][0]["fields"]["status"] == ["UPCOMING", "CANCELLED"]
    assert get(simulator, target, if_none_match=etag).status == 200
    several = read(post(simulator, "/_simulator/changes", [{"kind": "result"}, {"kind": "move"}]))
    assert [each["kind"] for each in several] == ["result", "move"]
    assert post(simulator, "/_simulator/changes", {"kind": "nonsense"}).status == 400
    assert post(simulator, "/_simulator/changes", {"kind": "move", "id": "nobody"}).status == 400


def _records(world: World, kind: str, organisation_id: str) -> dict[str, Any]:
    told = tell(world, kind, organisation_id)
    records = {
        record["id"]: record for name, listed in told.items() if name != "ladders" for record in listed
    }
    return records | {
        f"{ladder['grade_id']}:{ladder['type']}:{ladder['pool_id'] or ''}": ladder
        for ladder in told["ladders"]
    }
