"""A run is taken back record by record; what was edited since stays."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cms.embedded.adapter import EmbeddedCms
from stores.sql.stores import SqlStores
from sync.by_hand.run import ByHandRun, Choice
from sync.by_hand.undo_run import UndoRun
from sync.changes import Change
from sync.errors import InvalidRequest, NotFound
from sync.model import Record
from sync.ports import Fence
from sync.report import Mode, Outcome, Run, RunState, Stage
from tests.fakes import FakeLeases
from tests.integration.stores.conftest import NOW, SteppingClock
from tests.records import created, game, grade, ladder, removed, restored, season, team, updated

FENCE = Fence("playhq:club-1", 1)


class Workbench:
    """The embedded CMS with an undo over it."""

    def __init__(self, stores: SqlStores) -> None:
        self.stores = stores
        self.cms = EmbeddedCms(stores)
        by_hand = ByHandRun(cms=self.cms, runs=stores.runs, leases=FakeLeases(), clock=SteppingClock())
        self.undo = UndoRun(by_hand=by_hand, history=stores.changes)

    def take_back(self, run_id: str) -> tuple[Run, Choice]:
        act = self.undo.undo(run_id)
        assert act.run is not None
        return act.run, act.choice

    def write(self, run_id: str, *changes: Change, state: RunState = RunState.SUCCEEDED) -> None:
        self.stores.runs.save(
            Run(
                id=run_id,
                mode=Mode.CLUB,
                preset="full",
                state=state,
                requested_at=NOW,
                account_id=42,
                organisation_id="club-1",
                provider="playhq",
            )
        )
        assert self.cms.apply(run_id, Stage.GAMES, changes, fence=FENCE) == []


@pytest.fixture
def bench(stores: SqlStores) -> Workbench:
    bench = Workbench(stores)
    family: tuple[Record, ...] = (
        season(),
        grade(),
        team("home"),
        team("away"),
        game(),
        game("game-2"),
        ladder(),
    )
    bench.write("first", *map(created, family))
    return bench


def test_updates_and_removals_are_taken_back(bench: Workbench) -> None:
    moved, renamed = game(round="Final"), team("home", name=None)
    bench.write("bad", updated(game(), moved), updated(team("home"), renamed), removed(game("game-2")))
    run, undo = bench.take_back("bad")

    assert bench.cms.read_games(["grade-1"]) == {"game-1": game(), "game-2": game("game-2")}
    assert bench.cms.read_teams(["season-1"])["home"] == team("home")
    assert run.outcome is Outcome.SUCCEEDED
    assert (run.stages[Stage.GAMES].updated, run.stages[Stage.TEAMS].updated) == (2, 1)
    assert not undo.kept


def test_season_loses_again_what_the_run_had_learned(bench: Workbench) -> None:
    bench.write("bad", updated(season(), season(last_day=game().last_day)))
    bench.take_back("bad")

    assert bench.cms.read_seasons(["association-1"])["season-1"].last_day is None


def test_created_games_are_removed_and_other_created_records_stay(bench: Workbench) -> None:
    run, undo = bench.take_back("first")

    assert bench.cms.read_games(["grade-1"]) == {}
    assert set(bench.cms.read_removed_games(["game-1", "game-2"])) == {"game-1", "game-2"}
    assert {(kept.kind.value, kept.reason) for kept in undo.kept} == {
        (kind, f"a {kind} is never removed") for kind in ("season", "grade", "team", "ladder")
    }
    assert run.outcome is Outcome.PARTIAL
    assert run.message == "undoes run first; 5 records stay as they are"


def test_restored_game_is_removed_again(bench: Workbench) -> None:
    bench.write("removing", removed(game()))
    bench.write("restoring", restored(game()))
    bench.take_back("restoring")

    assert "game-1" in bench.cms.read_removed_games(["game-1"])


def test_what_was_edited_since_stays(bench: Workbench) -> None:
    once, twice = game(round="Final"), game(round="Final", status="ABANDONED")
    back = game("game-2", round="Final")
    bench.write(
        "bad", updated(game(), once), removed(game("game-2")), updated(team("home"), team("home", name="H"))
    )
    bench.write("later", updated(once, twice), restored(back))
    run, undo = bench.take_back("bad")

    assert bench.cms.read_games(["grade-1"]) == {"game-1": twice, "game-2": back}
    assert {kept.reason for kept in undo.kept} == {"it was edited since", "it has come back since"}
    assert [change.record_id for change in undo.all_changes] == ["home"]
    assert run.outcome is Outcome.PARTIAL


def test_game_that_was_removed_since_stays_removed(bench: Workbench) -> None:
    moved = game(round="Final")
    bench.write("bad", updated(game(), moved))
    bench.write("later", removed(moved))
    act = bench.undo.undo("bad")

    assert [kept.reason for kept in act.choice.kept] == ["it was removed since"]


def test_record_written_twice_goes_back_to_its_first_image(bench: Workbench) -> None:
    once, twice = game(round="Semi Final"), game(round="Final")
    bench.write("bad", updated(game(), once), updated(once, twice))
    bench.take_back("bad")

    assert bench.cms.read_games(["grade-1"])["game-1"] == game()


def test_undo_is_a_run_that_can_be_undone(bench: Workbench) -> None:
    moved = game(round="Final")
    bench.write("bad", updated(game(), moved))
    first, _ = bench.take_back("bad")
    second, _ = bench.take_back(first.id)

    assert bench.cms.read_games(["grade-1"])["game-1"] == moved
    assert (bench.stores.runs.find(first.id).preset, second.of_run_id) == ("undo", first.id)
    latest = bench.stores.changes.of_account(42, limit=1).items[0]
    assert (latest.run_id, latest.change.cause) == (second.id, f"undo of {first.id}")


def test_undoing_twice_finds_nothing_left_to_do(bench: Workbench) -> None:
    bench.write("bad", updated(game(), game(round="Final")))
    bench.take_back("bad")
    again = bench.undo.undo("bad")

    assert (again.run, again.is_repeat, list(again.choice.kept)) == (None, True, [])
    assert bench.cms.read_games(["grade-1"])["game-1"] == game()


def test_plan_of_an_undo_writes_nothing(bench: Workbench) -> None:
    moved = game(round="Final")
    bench.write("bad", updated(game(), moved))
    (change,) = bench.undo.plan("bad").all_changes

    assert (change.before, change.after) == (moved, game())
    assert [field.name for field in change.fields] == ["round"]
    assert bench.cms.read_games(["grade-1"])["game-1"] == moved


def test_only_a_finished_run_that_wrote_can_be_undone(bench: Workbench) -> None:
    bench.write("running", updated(game(), game(round="Final")), state=RunState.RUNNING)
    bench.write("idle")

    with pytest.raises(InvalidRequest, match="running is running"):
        bench.undo.plan("running")
    with pytest.raises(InvalidRequest, match="wrote nothing"):
        bench.undo.plan("idle")
    with pytest.raises(NotFound):
        bench.undo.plan("unknown")


def test_dry_run_has_nothing_to_undo(bench: Workbench) -> None:
    bench.stores.runs.save(replace(bench.stores.runs.find("first"), id="dry", dry_run=True))
    bench.cms.record_plan("dry", Stage.GAMES, [removed(game())])

    with pytest.raises(InvalidRequest, match="wrote nothing"):
        bench.undo.plan("dry")


def test_an_interrupted_undo_goes_on_as_the_same_run(bench: Workbench) -> None:
    bench.write("bad", updated(game(), game(round="Final")), updated(team("home"), team("home", name="H")))
    begun = bench.undo.by_hand.new_run(bench.stores.runs.find("bad"), "undo")
    bench.stores.runs.save(begun)
    bench.cms.apply(begun.id, Stage.GAMES, [updated(game(round="Final"), game())], fence=FENCE)
    run, undo = bench.take_back("bad")

    assert run.id == begun.id
    assert [change.record_id for change in undo.all_changes] == ["home"]
    assert (run.stages[Stage.GAMES].updated, run.stages[Stage.TEAMS].updated) == (1, 1)
    assert bench.cms.read_teams(["season-1"])["home"] == team("home")
