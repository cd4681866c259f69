"""Two providers of other packages use the same ids: the second is refused, the first loses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from sync.model import OrganisationKind
from sync.ports import Source
from sync.report import Mode, Outcome, RequestCounts, Run
from tests.integration.sync.conftest import Bench
from tests.integration.sync.test_engine import written

STRANGERS = Path(__file__).parents[2] / "packages" / "tennis" / "src"
DAYS = 4


class TwoNames:
    """Opens one package's source as two providers."""

    def __init__(self, open_source: Callable[[RequestCounts], Source]) -> None:
        self._open_source = open_source

    def open(self, provider: str, **_: object) -> Source:
        del provider  # both list the same ids
        return self._open_source(RequestCounts())


@pytest.fixture
def both(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.syspath_prepend(str(STRANGERS))
    bench.sync_run = replace(bench.sync_run, sources=TwoNames(import_module("tennis.provider").TennisSource))
    return bench


def sync(bench: Bench, provider: str, organisation_id: str) -> Run:
    request = bench.request(Mode.ASSOCIATION_DIRECT, organisation_id)
    return bench.sync_run.perform(replace(request, provider=provider))


def test_the_second_is_refused_and_the_first_loses_nothing(both: Bench) -> None:
    assert sync(both, "tennis", "court-1").outcome is Outcome.SUCCEEDED
    stored = both.stores.exports.read(OrganisationKind.ASSOCIATION, "court-1")
    for _ in range(DAYS):
        both.clock.pass_days(1)
        refused = sync(both, "badminton", "hall-1")
        assert refused.outcome is Outcome.PARTIAL
        assert "season summer is not stored: its id is taken by one of tennis" in (refused.message or "")
    assert both.stores.exports.read(OrganisationKind.ASSOCIATION, "court-1") == stored
    assert written(sync(both, "tennis", "court-1")) == 0
