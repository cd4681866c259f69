"""Whole runs into Strapi: the first fills it, the second writes nothing, a change writes itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from sync.context import Rules
from sync.guard import Limits
from sync.report import Outcome, Run
from tests.integration.cms.bench import Bench
from tests.strapi.server import StrapiServer
from tests.unit.sync.engine import TODAY, game_day, played


def written(run: Run) -> tuple[int, int, int]:
    """Created, updated and removed by all stages."""
    stages = run.stages.values()
    return (
        sum(stage.created for stage in stages),
        sum(stage.updated for stage in stages),
        sum(stage.removed for stage in stages),
    )


def test_first_sync_fills_the_cms_and_the_second_writes_nothing(bench: Bench, strapi: StrapiServer) -> None:
    first = bench.sync()
    strapi.requests.clear()
    second = bench.sync()

    assert (first.outcome, second.outcome) == (Outcome.SUCCEEDED, Outcome.SUCCEEDED)
    assert len(strapi.rows("game-meta-datas")) == 6
    assert strapi.writes == []
    assert written(second) == (0, 0, 0)


def test_changes_of_the_provider_write_exactly_themselves(bench: Bench, strapi: StrapiServer) -> None:
    bench.sync()
    strapi.requests.clear()
    games = bench.world.games
    games["game-3"] = played(games["game-3"])
    games["game-4"] = replace(games["game-4"], days=(game_day(TODAY + timedelta(days=9)),))
    run = bench.sync()

    assert run.outcome is Outcome.SUCCEEDED
    assert sorted({path.partition("/")[0] for _, path in strapi.writes} - {"competitions", "grades"}) == [
        "game-meta-datas"
    ]
    assert len([path for _, path in strapi.writes if path.startswith("game-")]) == 2


def test_game_that_stays_missing_is_marked_after_three_days(bench: Bench, strapi: StrapiServer) -> None:
    bench.sync()
    del bench.world.games["game-4"]
    removals = [written(bench.sync())[2] for _ in range(3)]

    assert removals == [0, 0, 1]
    marked = [row["gameID"] for row in strapi.rows("game-meta-datas") if row["isDeleted"]]
    assert marked == ["game-4"]


def test_held_removals_are_marked_once_a_person_approves_them(bench: Bench, strapi: StrapiServer) -> None:
    limits = Limits(removal_max_count=1, shrink_max_share=0.9)
    bench.rules = Rules(removal_confirmations=1, limits=limits)
    bench.sync()
    del bench.world.games["game-4"], bench.world.games["game-5"]
    held = bench.sync()
    assert not any(row["isDeleted"] for row in strapi.rows("game-meta-datas"))

    act = bench.approvals.approve(held.id, plan_hash=held.plan_hash or "", decided_by="anna")
    assert act.run is not None
    assert (act.run.outcome, act.choice.kept) == (Outcome.SUCCEEDED, [])
    marked = {row["gameID"] for row in strapi.rows("game-meta-datas") if row["isDeleted"]}
    assert marked == {"game-4", "game-5"}


def test_undo_reaches_the_cms_and_can_be_undone(bench: Bench, strapi: StrapiServer) -> None:
    bench.sync()
    bench.world.games["game-3"] = replace(bench.world.games["game-3"], round="Round 9")
    changed = bench.sync()

    def rounds() -> set[object]:
        return {row["round"] for row in strapi.rows("game-meta-datas") if row["gameID"] == "game-3"}

    assert rounds() == {"Round 9"}
    first = bench.undo.undo(changed.id)
    assert first.run is not None
    assert (first.run.outcome, rounds()) == (Outcome.SUCCEEDED, {"Round 1"})
    again = bench.undo.undo(first.run.id)
    assert again.run is not None
    assert (again.run.outcome, rounds()) == (Outcome.SUCCEEDED, {"Round 9"})
