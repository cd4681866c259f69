"""No run is a mixture of two versions of the settings, however often it is cut short or helped."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sync.context import FanOut, Rules
from sync.errors import RateLimited
from sync.grades.ports import GradeTask
from sync.report import Mode, Run, RunState
from tests.fakes import FakeGathers, nothing_fails
from tests.unit.sync.engine import ASSOCIATION_ACCOUNT, Engine, game, grade, team

FIRST = Rules(config_version=1)


def cut_short(engine: Engine) -> Run:
    """A run under the first version that its provider interrupts in the second grade."""
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)

    def interrupt(operation: str) -> None:
        if operation == "fixture of grade-2":
            raise RateLimited("429", retry_after_s=1)

    engine.sources.before = interrupt
    with pytest.raises(RateLimited):
        engine.perform(request)
    engine.sources.before = nothing_fails
    engine.sources.opened.clear()
    return engine.runs.find(request.run_id)


@pytest.fixture
def engine() -> Engine:
    return Engine(rules=FIRST)


def go_on(engine: Engine, run: Run, rules: Rules) -> Run:
    engine.rules = rules
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    return engine.perform(replace(request, run_id=run.id))


def test_a_run_that_goes_on_under_another_version_begins_anew(engine: Engine) -> None:
    run = cut_short(engine)
    finished = go_on(engine, run, Rules(config_version=2))
    assert (finished.state, finished.config_version) == (RunState.SUCCEEDED, 2)
    assert "fixture of grade-1" in engine.sources.asked


def test_a_run_goes_on_where_it_stopped_under_a_version_that_says_the_same(engine: Engine) -> None:
    run = cut_short(engine)
    finished = go_on(engine, run, Rules(config_version=2, like_versions=frozenset({1, 2})))
    assert (finished.state, finished.config_version) == (RunState.SUCCEEDED, 1)
    assert "fixture of grade-1" not in engine.sources.asked


def test_a_worker_under_another_version_does_not_help_with_a_grade(engine: Engine) -> None:
    for number in range(10, 18):
        engine.world.grades[f"grade-{number}"] = grade(number)
        for side in (0, 1):
            entered = team(number * 10 + side, grade_id=f"grade-{number}")
            engine.world.teams[entered.id] = entered
        played = game(number, home=number * 10, away=number * 10 + 1, grade_id=f"grade-{number}")
        engine.world.games[played.id] = played
    helped: list[int] = []

    def share_out(tasks: list[GradeTask]) -> None:
        for rules in (Rules(config_version=2), Rules(config_version=2, like_versions=frozenset({1}))):
            helper = replace(engine.sync_run, rules=rules)
            before = len(engine.sources.asked)
            helper.perform_grade(tasks[0])
            helped.append(len(engine.sources.asked) - before)

    engine.fan_out = FanOut(gathers=FakeGathers(), share_out=share_out)  # type: ignore[arg-type]
    run = engine.sync_association()
    assert run.state is RunState.SUCCEEDED
    assert helped[0] == 0
    assert helped[1] > 0
