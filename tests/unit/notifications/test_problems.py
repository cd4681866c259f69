"""Each threshold, on its two sides."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from notifications.blame import failing
from notifications.problems import Facts, QueueFacts, RunningFacts, find_problems
from settings.canary import Ending, Outcome
from settings.schema import AlertsSettings
from sync.causes import Cause
from sync.incident import Severity
from tests.unit.notifications.test_blame import Ended, good

RULES = AlertsSettings()
QUIET = QueueFacts(name="updates")


def found(facts: Facts, rules: AlertsSettings = RULES) -> dict[str, Severity]:
    return {problem.kind: problem.severity for problem in find_problems(facts, rules)}


def of_queue(**fields: Any) -> dict[str, Severity]:
    return found(Facts(queues=[replace(QUIET, **fields)]))


def test_when_all_is_well_nothing_is_found() -> None:
    assert found(Facts(queues=[QUIET])) == {}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"is_paused": True, "waiting": 3, "oldest_age_s": 500}, {}),
        ({"is_paused": True, "oldest_age_s": 0}, {}),
        ({"is_paused": True, "waiting": 3, "oldest_age_s": 700}, {"paused": Severity.WARNING}),
        ({"is_paused": True, "waiting": 3, "oldest_age_s": 7300}, {"paused": Severity.ERROR}),
        ({"waiting": 3, "leased": 1, "oldest_age_s": 119}, {}),
        ({"waiting": 3, "leased": 1, "oldest_age_s": 121}, {"oldest_age": Severity.WARNING}),
        ({"waiting": 3, "leased": 1, "oldest_age_s": 241}, {"oldest_age": Severity.ERROR}),
        ({"waiting": 1, "oldest_age_s": 61}, {"stalled": Severity.ERROR}),
        ({"waiting": 11, "pressing": 10, "leased": 1}, {}),
        ({"waiting": 11, "pressing": 11, "leased": 1}, {"backlog": Severity.WARNING}),
        ({"waiting": 21, "pressing": 21, "leased": 1}, {"backlog": Severity.ERROR}),
        ({"waiting": 5, "leased": 1, "usual_rate": 10, "rate": 5}, {}),
        ({"waiting": 5, "leased": 1, "usual_rate": 10, "rate": 4.9}, {"slow": Severity.WARNING}),
        ({"waiting": 0, "usual_rate": 10, "rate": 0}, {}),
        ({"done": 7, "died": 2}, {}),
        ({"done": 8, "died": 2}, {}),
        ({"done": 7, "died": 3}, {"messages_failing": Severity.WARNING}),
        ({"done": 4, "died": 6}, {"messages_failing": Severity.ERROR}),
        ({"done": 200, "died": 10}, {"dead_letters": Severity.WARNING}),
        ({"is_balanced": False}, {"ledger": Severity.ERROR}),
    ],
)
def test_a_queue_is_judged_by_its_thresholds(fields: dict[str, Any], expected: dict[str, Severity]) -> None:
    assert of_queue(**fields) == expected


def test_no_worker_and_no_leader_are_errors() -> None:
    facts = Facts(queues=[replace(QUIET, waiting=2, oldest_age_s=90)], taking_workers=0, has_leader=False)
    assert found(facts) == {"no_worker": Severity.ERROR, "no_leader": Severity.ERROR}


@pytest.mark.parametrize(
    ("elapsed_s", "usual_s", "is_stuck"),
    [
        (1801, None, True),
        (1799, None, False),
        (3600, 1300, False),
        (4000, 1300, True),
        (500, 10, False),
        (601, 10, True),
    ],
)
def test_stuck_is_judged_by_the_accounts_own_history(
    elapsed_s: float,
    usual_s: float | None,
    is_stuck: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    running = RunningFacts(run_id="r1", subject="Northside CC", elapsed_s=elapsed_s, usual_s=usual_s)
    assert bool(found(Facts(running=[running]))) is is_stuck


def test_failing_runs_are_told_from_the_third_on_and_bad_ones_as_an_error() -> None:
    assert found(Facts(failing=failing([Ended(Cause.PROVIDER_DOWN, 2)]))) == {}
    few = Facts(failing=failing([Ended(Cause.PROVIDER_DOWN, 3), good(9)]))
    assert found(few) == {"runs_failing": Severity.WARNING}
    most = Facts(failing=failing([Ended(Cause.PROVIDER_DOWN, 900), good(100)]))
    assert found(most) == {"runs_failing": Severity.ERROR}


def test_breakers_stale_accounts_and_channels_are_told() -> None:
    facts = Facts(
        open_breakers=["playhq"],
        stale_count=12,
        stalest=["Northside CC (40 h)"],
        refusing={"slack": "invalid_auth"},
        switched_off={"webhook": "post to the webhook: 410"},
        waiting_notices={"mail": 3, "webhook": 2},
        refused_changes=2,
        refused_last="game game-4 of run r1: no such round",
    )
    assert set(found(facts)) == {
        "breaker_open",
        "freshness",
        "channel_refuses",
        "channel_off",
        "channel_down",
        "cms_refused",
    }


def test_each_problem_says_what_and_the_next_step() -> None:
    facts = Facts(
        queues=[replace(QUIET, is_paused=True, waiting=3, oldest_age_s=700, died=10)],
        failing=failing([Ended(Cause.BUG, 3, example="KeyError: 'round'")]),
        taking_workers=0,
        has_leader=False,
        stale_count=1,
        stalest=["x"],
    )
    for problem in find_problems(facts, RULES):
        assert problem.what.endswith("."), problem
        assert "`" in problem.step or "See" in problem.step, problem


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.WITHDRAWN, {"canary_withdrawn": Severity.WARNING}),
        (Outcome.PROMOTED, {"canary_promoted": Severity.INFO}),
    ],
)
def test_the_end_of_a_canary_is_told(outcome: Outcome, expected: dict[str, Severity]) -> None:
    ended = Ending(number=4, outcome=outcome, at=datetime(2031, 10, 18, tzinfo=UTC), reason="ann ended it")
    assert found(Facts(canaries=[ended])) == expected
