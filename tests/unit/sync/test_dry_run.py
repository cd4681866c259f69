"""A dry run makes the whole plan and writes nothing but that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync.changes import Change
from sync.context import Rules
from sync.errors import RateLimited
from sync.guard import Limits
from sync.report import Mode, Outcome, Stage
from tests.fakes import nothing_fails
from tests.unit.sync.engine import ASSOCIATION_ACCOUNT, Engine


@pytest.fixture
def engine() -> Engine:
    return Engine(rules=Rules(removal_confirmations=1, limits=Limits(removal_max_share=0.5)))


def essence(changes: list[Change]) -> list[tuple[str, str, str, tuple[str, ...]]]:
    return [
        (change.kind, change.record_id, change.action, tuple(field.name for field in change.fields))
        for change in changes
    ]


def test_the_plan_of_a_first_sync_is_what_the_real_one_writes(engine: Engine) -> None:
    planned = engine.sync_association(is_dry_run=True)
    assert engine.cms.history == []
    assert not any(engine.cms.stored().values())
    real = engine.sync_association()
    assert essence(engine.cms.plans[planned.id]) == essence([change for *_, change in engine.cms.history])
    assert {stage: report.created for stage, report in planned.stages.items()} == {
        stage: report.created for stage, report in real.stages.items()
    }


def test_the_plan_of_a_change_names_its_fields(engine: Engine) -> None:
    engine.sync_association()
    engine.world.games["game-3"] = replace(engine.world.games["game-3"], status="FINAL", round="Round 2")
    del engine.world.games["game-5"]
    stored = engine.cms.stored()
    run = engine.sync_association(is_dry_run=True)
    assert engine.cms.stored() == stored
    assert essence(engine.cms.plans[run.id]) == [
        ("game", "game-3", "updated", ("round", "status")),
        ("game", "game-5", "removed", ()),
    ]
    assert run.stages[Stage.FIXTURE_CLEANUP].removed == 1
    assert engine.cms.absences == {}


def test_a_dry_run_sets_no_flag_and_remembers_no_organisation(engine: Engine) -> None:
    known = dict(engine.cms.organisations)
    for mode in (Mode.ASSOCIATION, Mode.UPDATE, Mode.ONBOARDING):
        engine.perform(engine.request(mode, account_id=ASSOCIATION_ACCOUNT, is_dry_run=True))
    assert engine.cms.flag_writes == []
    assert engine.cms.organisations == known


def test_a_dry_run_that_was_interrupted_plans_from_the_start(engine: Engine) -> None:
    def before(operation: str) -> None:
        if operation == "fixture of grade-2":
            raise RateLimited("429", retry_after_s=1)

    engine.sources.before = before
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT, is_dry_run=True)
    with pytest.raises(RateLimited):
        engine.perform(request)
    engine.sources.before = nothing_fails
    run = engine.perform(request)
    assert run.outcome is Outcome.SUCCEEDED
    games = run.stages[Stage.GAMES]
    assert games.created == len(engine.world.games) + len(engine.world.ladders)
