"""Hysteresis: what is told, and what is not, from look to look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from notifications.incidents import Step, back_again, follow, subject_of, text_of
from notifications.problems import Problem
from settings.schema import AlertsSettings
from sync.causes import Party
from sync.incident import Incident, Severity
from tests.unit.notifications.builders import AT

RULES = AlertsSettings(opens_after=2, closes_after=3, repeat_s=1800)


def problem(kind: str = "backlog", **fields: Any) -> Problem:
    usual = {"severity": Severity.WARNING, "what": f"{kind} is high.", "step": "Look."}
    return Problem(key="queue:syncs", kind=kind, **(usual | fields))


def suspicion() -> Incident:
    return Incident(
        id="i1",
        key="queue:syncs",
        severity=Severity.WARNING,
        title="?",
        party=None,
        alerts=(),
        first_seen_at=AT,
        seen_at=AT,
    )


def looks(*seen: list[Problem], start: Incident | None = None) -> list[Step]:
    """A look a minute, each seeing these problems."""
    incident, steps = start or suspicion(), []
    for number, problems in enumerate(seen):
        step = follow(incident, problems, AT + timedelta(minutes=number), RULES)
        steps.append(step)
        if step.incident is None:
            break
        told_at = AT + timedelta(minutes=number) if step.changes else step.incident.told_at
        incident = replace(step.incident, told_at=told_at)
    return steps


def test_one_odd_moment_is_no_incident() -> None:
    assert looks([problem()], [])[-1] == Step(None)


def test_what_is_seen_twice_opens_and_is_told_with_its_step() -> None:
    first, second = looks([problem()], [problem()])
    assert (first.changes, first.is_opened) == ((), False)
    assert second.is_opened
    assert second.changes == ["backlog is high. Next: Look."]


def test_what_is_sure_opens_at_once() -> None:
    (step,) = looks([problem(is_sure=True, party=Party.PROVIDER, count=900)])
    assert step.is_opened
    assert step.incident is not None
    assert (step.incident.party, step.incident.count) == (Party.PROVIDER, 900)


def test_it_is_over_after_three_looks_without_it_and_says_how_long_it_was() -> None:
    steps = looks([problem()], *[[problem()]] * 12, [], [], [])
    assert [step.is_resolved for step in steps[-3:]] == [False, False, True]
    assert steps[-1].changes == ["Resolved after 14 min."]
    assert steps[-1].incident is not None
    assert subject_of(steps[-1].incident) == "Resolved after 14 min: backlog is high."


def test_flapping_is_one_incident_and_told_once() -> None:
    seen = [[problem()], [problem()], *([[], [problem()]] * 30)]
    steps = looks(*seen)
    assert sum(step.is_opened for step in steps) == 1
    assert not any(step.is_resolved for step in steps)
    assert sum(bool(step.changes) for step in steps) == 1


def test_one_that_came_back_lasts_longer() -> None:
    opened = looks([problem()], [problem()])[-1].incident
    assert opened is not None
    steps = looks(*[[]] * 13, start=replace(opened, flaps=2))
    assert [step.is_resolved for step in steps].index(True) == 11


def test_a_second_problem_of_the_subject_joins_the_incident() -> None:
    both = [problem(), problem("slow")]
    steps = looks([problem()], [problem()], both, both, both)
    assert steps[3].changes == ["slow is high. Next: Look."]
    assert steps[4].changes == []


def test_getting_worse_is_told_once_and_stays_on_record() -> None:
    bad = [problem(severity=Severity.ERROR, what="it is bad.")]
    steps = looks([problem()], [problem()], bad, bad, [problem()])
    assert [list(step.changes) for step in steps[2:]] == [["It is worse now: it is bad."], [], []]
    assert steps[-1].incident is not None
    assert steps[-1].incident.severity is Severity.ERROR


def test_an_error_is_told_again_every_half_hour_and_a_warning_is_not() -> None:
    for severity, times in ((Severity.ERROR, 4), (Severity.WARNING, 1)):
        steps = looks(*[[problem(severity=severity)]] * 100)
        assert sum(bool(step.changes) for step in steps) == times


def test_one_that_was_over_a_short_while_ago_goes_on() -> None:
    over = looks([problem()], [problem()], [], [], [])[-1].incident
    assert over is not None
    assert over.resolved_at is not None
    again = replace(suspicion(), id="i2", title="backlog is high.")
    step = back_again(over, again, over.resolved_at + timedelta(minutes=5))
    assert step.incident is not None
    assert (step.incident.id, step.incident.flaps, step.incident.resolved_at) == ("i1", 1, None)
    assert step.changes == ["Back again after 5 min: backlog is high."]


def test_the_text_says_what_since_when_how_bad_whose_side_and_what_next() -> None:
    seen = [problem(is_sure=True, severity=Severity.ERROR, party=Party.PROXY, count=1200)]
    opened = looks(seen)[-1].incident
    assert opened is not None
    assert text_of(opened, AT + timedelta(minutes=12)).splitlines() == [
        "Error: backlog is high.",
        "since 2026-11-23 03:00 UTC (12 min); incident queue:syncs; side: us: the proxy; 1,200 in all",
        "• backlog is high.",
        "  Next: Look.",
    ]


def test_clocks_that_jump_open_and_close_nothing() -> None:
    opened = looks([problem()], [problem()])[-1].incident
    assert opened is not None
    for jump in (timedelta(days=-3), timedelta(days=3)):
        step = follow(opened, [problem()], AT + jump, RULES)
        assert not step.is_resolved
        assert step.incident is not None
