"""Runs of several accounts write the same records: nothing is lost, nothing is counted twice."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Engine

from stores.sql.stores import SqlStores, open_stores
from sync.changes import Action
from sync.clock import SystemClock
from sync.plan import plan_upserts
from sync.ports import Fence
from sync.report import Mode, Run, RunState, Stage
from tests.records import game, grade, season, team

CLUB, OTHER = "1" * 32, "2" * 32


@pytest.fixture
def stores(engine: Engine) -> SqlStores:
    stores = open_stores(engine, SystemClock())
    for run_id in (CLUB, OTHER):
        stores.runs.request(
            Run(
                id=run_id,
                mode=Mode.CLUB,
                preset="full",
                state=RunState.RUNNING,
                requested_at=SystemClock().now(),
            )
        )
    return stores


def write(stores: SqlStores, run_id: str, *records: object, stored: object = ()) -> None:
    known = {record.id: record for record in stored}  # type: ignore[attr-defined]
    changes = plan_upserts(records, known).changes
    stores.mirror.apply(run_id, Stage.GAMES, changes, fence=Fence(run_id, 1))


def counted(stores: SqlStores, run_id: str) -> dict[Action, int]:
    return dict(stores.changes.count_written(run_id).get(Stage.GAMES, {}))


def test_a_record_that_two_runs_create_counts_for_the_one_that_wrote_it(stores: SqlStores) -> None:
    write(stores, CLUB, season())
    write(stores, OTHER, season())
    assert counted(stores, CLUB) == {Action.CREATED: 1}
    assert counted(stores, OTHER) == {}


def test_a_second_creation_adds_what_the_first_did_not_know(stores: SqlStores) -> None:
    write(stores, CLUB, season(association_name=None))
    write(stores, OTHER, season(association_name="Harbour Cricket"))
    assert stores.mirror.read_seasons(["association-1"])["season-1"].association_name == "Harbour Cricket"
    assert counted(stores, OTHER) == {Action.UPDATED: 1}


@pytest.mark.parametrize("grades", [("grade-1", "grade-2"), ("grade-2", "grade-1")])
def test_a_game_that_two_runs_create_in_two_grades_ends_in_the_first_of_them(
    stores: SqlStores, grades: tuple[str, str]
) -> None:
    write(stores, CLUB, season(), grade("grade-1"), grade("grade-2"), team("home"), team("away"))
    for run_id, grade_id in zip((CLUB, OTHER), grades, strict=True):
        write(stores, run_id, game(grade_id=grade_id))
    assert stores.mirror.find_games(["game-1"])["game-1"].grade_id == "grade-1"


def test_a_planned_move_of_a_game_is_written(stores: SqlStores) -> None:
    write(stores, CLUB, season(), grade("grade-1"), grade("grade-2"), team("home"), team("away"), game())
    write(stores, OTHER, game(grade_id="grade-2"), stored=[game()])
    assert stores.mirror.find_games(["game-1"])["game-1"].grade_id == "grade-2"


def test_an_update_leaves_fields_alone_that_another_run_has_changed(stores: SqlStores) -> None:
    write(stores, CLUB, season(), team())
    seen = team()
    write(stores, OTHER, replace(seen, grade_id="grade-2"), stored=[seen])
    write(stores, CLUB, replace(seen, name="Hawks Gold"), stored=[seen])
    stored = stores.mirror.read_teams(["season-1"])["home"]
    assert (stored.name, stored.grade_id) == ("Hawks Gold", "grade-2")


def test_a_season_lasts_as_long_as_its_grades_though_the_run_saw_only_one(stores: SqlStores) -> None:
    bare = season(first_day=None)
    early = grade("early", first_day=date(2031, 10, 4), last_day=date(2031, 11, 1))
    late = grade("late", first_day=date(2031, 11, 8), last_day=date(2032, 2, 7))
    write(stores, CLUB, bare, early)
    write(stores, OTHER, late)
    narrow = replace(bare, first_day=early.first_day, last_day=early.last_day)
    write(stores, CLUB, narrow, stored=[bare])
    stored = stores.mirror.read_seasons(["association-1"])["season-1"]
    assert (stored.first_day, stored.last_day) == (date(2031, 10, 4), date(2032, 2, 7))
