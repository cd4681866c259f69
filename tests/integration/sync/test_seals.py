"""A grade that is as it was left is not worked through again, and whatever changed is seen.

A sealed grade shows in the count of stored answers used: working it through decodes them once
more, telling it apart does not.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy
from sqlalchemy import func, select, update

from stores.sql.tables import Utc, games, grades, ladders, teams
from sync.grades.ports import GradeTask
from sync.grades.seal import LASTS
from sync.model import OrganisationKind
from sync.report import Mode, Outcome, Run, Stage
from tests.integration.sync.conftest import Bench

KINDS = list(OrganisationKind)


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """Nothing is asked ahead: then no other stored answer is used but those of grades worked through."""
    bench.sync_run = replace(bench.sync_run, asked_ahead=0)
    return bench


def first_of(bench: Bench, kind: OrganisationKind) -> str:
    return bench.accounts(kind)[0]


def written(run: Run) -> int:
    return sum(report.created + report.updated + report.removed for report in run.stages.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_sync_takes_no_unchanged_grade_apart(bench: Bench, kind: OrganisationKind) -> None:
    organisation = first_of(bench, kind)
    first = bench.sync(kind, organisation)
    second = bench.sync(kind, organisation)
    assert first.requests.cache_hits > 0
    assert second.requests.cache_hits == 0
    # A club's associations are learned once, from its own seasons.
    assert first.requests.sent - second.requests.sent in (0, 1)
    assert second.stages[Stage.GAMES].read == second.stages[Stage.GAMES].unchanged > 0
    assert second.stages[Stage.FIXTURE_VALIDATION] == replace(
        first.stages[Stage.FIXTURE_VALIDATION],
        duration_s=second.stages[Stage.FIXTURE_VALIDATION].duration_s,
    )
    bench.assert_true(kind, organisation)


EDITS = {
    "a game's status": update(games).values(status="Edited"),
    "a game's innings": update(games).values(innings=[]),
    "a game's grade": update(games).values(grade_id=select(func.max(grades.c.id)).scalar_subquery()),
    "a game taken for removed": update(games).values(removed_at=sqlalchemy.func.current_timestamp(type_=Utc)),
    "a ladder": update(ladders).values(rows=[]),
    "a grade's name": update(grades).values(name="Edited"),
    "a grade's days": update(grades).values(last_day="2030-01-01"),
    "a team's name": update(teams).values(name="Edited"),
    "a team's grade": update(teams).values(grade_id=None),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_stored_record_that_was_edited_is_seen(bench: Bench, edit: str) -> None:
    kind = OrganisationKind.ASSOCIATION
    organisation = first_of(bench, kind)
    bench.sync(kind, organisation)
    statement = EDITS[edit]
    table = statement.table
    with bench.engine.begin() as connection:
        one = connection.scalar(select(func.min(table.c.id)))
        connection.execute(statement.where(table.c.id == one))
    bench.sync(kind, organisation)
    bench.assert_true(kind, organisation)


def test_a_removal_counts_its_days_while_the_grade_is_sealed(bench: Bench) -> None:
    association = first_of(bench, OrganisationKind.ASSOCIATION)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.change("remove_game", association)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.clock.pass_days(1)
    run = bench.sync(OrganisationKind.ASSOCIATION, association)
    assert run.requests.cache_hits <= 1  # the grades on the way to the removal, not all
    assert run.stages[Stage.FIXTURE_CLEANUP].removed == 1


def test_a_game_that_was_removed_and_comes_back_is_restored(bench: Bench) -> None:
    association = first_of(bench, OrganisationKind.ASSOCIATION)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.change("remove_game", association)
    for _ in range(3):
        bench.sync(OrganisationKind.ASSOCIATION, association)
        bench.clock.pass_days(1)
    bench.change("restore_game", association)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.assert_true(OrganisationKind.ASSOCIATION, association)


@pytest.mark.parametrize("rules", [{"code": "other code"}, {"code": None}])
def test_other_code_works_every_grade_through(bench: Bench, rules: dict[str, str | None]) -> None:
    association = first_of(bench, OrganisationKind.ASSOCIATION)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.sync_run = replace(
        bench.sync_run,
        rules=replace(bench.sync_run.rules, **rules),  # type: ignore[arg-type]
    )
    second = bench.sync(OrganisationKind.ASSOCIATION, association)
    assert second.outcome is Outcome.SUCCEEDED
    assert written(second) == 0
    if rules["code"]:
        assert second.requests.cache_hits > 0
        assert bench.sync(OrganisationKind.ASSOCIATION, association).requests.cache_hits == 0


def test_another_default_zone_works_every_grade_through(bench: Bench) -> None:
    association = first_of(bench, OrganisationKind.ASSOCIATION)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.configure(default_zone="Australia/Perth")
    assert bench.sync(OrganisationKind.ASSOCIATION, association).requests.cache_hits > 0


def test_a_seal_is_not_believed_for_ever(bench: Bench) -> None:
    association = first_of(bench, OrganisationKind.ASSOCIATION)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.clock.at += LASTS
    assert bench.sync(OrganisationKind.ASSOCIATION, association).requests.cache_hits > 0


def test_a_dry_run_works_every_grade_through(bench: Bench) -> None:
    association = first_of(bench, OrganisationKind.ASSOCIATION)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    request = replace(bench.request(Mode.ASSOCIATION_DIRECT, association), is_dry_run=True)
    run = bench.sync_run.perform(request)
    assert run.outcome is Outcome.SUCCEEDED
    assert written(run) == 0


def test_only_grades_that_need_work_are_shared_out(shared_bench: Bench) -> None:
    association = first_of(shared_bench, OrganisationKind.ASSOCIATION)
    shared_bench.sync(OrganisationKind.ASSOCIATION, association)
    shared: list[GradeTask] = []
    fan_out = shared_bench.sync_run.fan_out
    assert fan_out is not None
    shared_bench.sync_run = replace(
        shared_bench.sync_run, fan_out=replace(fan_out, share_out=shared.extend, min_grades=1)
    )
    shared_bench.sync(OrganisationKind.ASSOCIATION, association)
    assert not shared
    shared_bench.change("result", association)
    shared_bench.sync(OrganisationKind.ASSOCIATION, association)
    assert len(shared) == 1
    shared_bench.assert_true(OrganisationKind.ASSOCIATION, association)
