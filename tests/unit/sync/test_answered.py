"""A run that an equal one has just answered ends without asking anybody."""

from __future__ import annotations

import pytest

from sync.errors import ProviderUnavailable
from sync.report import Mode, Run, RunState
from tests.unit.sync.engine import ASSOCIATION_ACCOUNT, Engine


@pytest.fixture
def engine() -> Engine:
    return Engine()


def request_again(engine: Engine) -> tuple[Run, Run]:
    """A finished run, and an equal one that only waits."""
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    first = engine.perform(request)
    waiting = Run(
        id="second",
        mode=Mode.ASSOCIATION,
        preset=first.preset,
        state=RunState.QUEUED,
        requested_at=first.requested_at,
        account_id=ASSOCIATION_ACCOUNT,
    )
    engine.runs.request(waiting)
    return first, waiting


def test_it_succeeds_names_the_run_whose_result_it_has_and_is_announced_once(engine: Engine) -> None:
    first, waiting = request_again(engine)
    asked = list(engine.sources.asked)
    for _ in range(2):
        engine.sync_run.closing.finish_as_answered(waiting.id, by=first.id)
    second = engine.runs.find(waiting.id)
    assert second.state is RunState.SUCCEEDED
    assert second.message is not None
    assert first.id in second.message
    assert engine.sources.asked == asked
    assert [run.id for run in engine.announced] == [first.id, waiting.id]


def test_a_verdict_of_its_own_stays(engine: Engine) -> None:
    first, waiting = request_again(engine)
    engine.sync_run.closing.finish_as_failed(waiting.id, ProviderUnavailable("503"))
    engine.sync_run.closing.finish_as_answered(waiting.id, by=first.id)
    assert engine.runs.find(waiting.id).state is RunState.FAILED
    assert [run.id for run in engine.announced] == [first.id, waiting.id]
