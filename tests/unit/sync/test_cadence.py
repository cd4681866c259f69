from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from settings.scheduling import CadenceSettings
from sync.cadence import Phase, judge

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
RULES = CadenceSettings()


@pytest.mark.parametrize(
    ("matches", "phase", "hours"),
    [
        ([], Phase.OFF_SEASON, 156),
        ([2], Phase.MATCH, 1),
        ([-6], Phase.MATCH, 1),
        ([2.5], Phase.SEASON, 20),
        ([-6.5, 100], Phase.SEASON, 20),
        ([-100, 1.5, 300], Phase.MATCH, 1),
    ],
)
def test_an_account_is_judged_by_its_matches(matches: list[float], phase: Phase, hours: int) -> None:
    cadence = judge([NOW + hour * HOUR for hour in matches], NOW, RULES)
    assert (cadence.phase, cadence.target) == (phase, hours * HOUR)


def test_the_reason_names_the_match() -> None:
    assert judge([NOW + HOUR], NOW, RULES).reason == "a match at Sat 28 Nov 04:00 UTC"
    assert judge([], NOW, RULES).reason == "out of season: no match near"
