from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from brokers.operations import Ledger, QueueState
from brokers.queues import Priority
from settings.schema import AlertsSettings
from sync.incident import Alert, Incident, Severity
from sync.report import Mode, Run, RunState
from web.dashboard.evidence import Level
from web.dashboard.verdict import Facts, Running, Slow, Trouble, Verdict, judge

NOW = datetime(2031, 10, 18, 1, 0, tzinfo=UTC)
EMPTY = Ledger(enqueued=0, done=0, coalesced=0, deleted=0, waiting=0, delayed=0, leased=0, dead=0)
QUIET = QueueState(
    name="syncs",
    waiting=dict.fromkeys(Priority, 0),
    delayed=0,
    leased=0,
    dead=0,
    oldest_age_s=None,
    is_paused=False,
    limit=None,
    enqueued_per_minute=0,
    done_per_minute=0,
    died_per_minute=0,
    ledger=EMPTY,
)
WELL = Facts(
    checks={"redis": {"status": "pass"}},
    required=["redis"],
    queues=[QUIET],
    worker_count=1,
    running=[],
    paused_by={},
)
RUN = Run(id="r1", mode=Mode.CLUB, preset="full", state=RunState.RUNNING, requested_at=NOW, account_id=42)


def waiting(count: int, *, priority: Priority = Priority.NORMAL) -> dict[Priority, int]:
    return {**dict.fromkeys(Priority, 0), priority: count}


def judged(**changes: Any) -> Verdict:
    """The verdict over one queue with these changes."""
    return judge(replace(WELL, queues=[replace(QUIET, **changes)]))


def test_nothing_to_say_is_good() -> None:
    assert judge(WELL).level is Level.GOOD
    assert judge(WELL).evidence == []


def test_a_required_check_that_fails_is_to_be_acted_on_and_another_is_not() -> None:
    failed = {"status": "fail", "output": "Redis did not answer."}
    checks = {"redis": failed, "disk": {"status": "warn", "output": "nearly full"}}
    verdict = judge(replace(WELL, checks=checks))
    assert [one.level for one in verdict.evidence] == [Level.ACT, Level.LOOK]
    assert "Redis did not answer." in verdict.evidence[0].what


def test_a_paused_queue_says_who_paused_it() -> None:
    queue = replace(QUIET, is_paused=True, waiting=waiting(3), oldest_age_s=5)
    verdict = judge(replace(WELL, queues=[queue], paused_by={"syncs": "ann at 00:12 UTC"}))
    assert verdict.level is Level.LOOK
    assert "paused by ann at 00:12 UTC; 3 wait" in verdict.evidence[0].what


def test_work_that_nobody_takes_is_to_be_acted_on() -> None:
    queue = replace(QUIET, waiting=waiting(3), oldest_age_s=90)
    verdict = judge(replace(WELL, queues=[queue], worker_count=0))
    assert verdict.level is Level.ACT
    assert "no worker lives" in verdict.evidence[0].what


def test_a_nightly_backlog_of_low_priority_is_well() -> None:
    verdict = judged(
        waiting=waiting(4000, priority=Priority.LOW), oldest_age_s=3600, leased=8, done_per_minute=40
    )
    assert verdict.level is Level.GOOD


def test_a_backlog_of_customers_is_not() -> None:
    queue = replace(QUIET, name="onboarding", waiting=waiting(6), oldest_age_s=10, leased=1)
    assert judge(replace(WELL, queues=[queue])).level is Level.LOOK


@pytest.mark.parametrize(("age_s", "level"), [(100, Level.GOOD), (130, Level.LOOK), (300, Level.ACT)])
def test_patience_with_a_queue_where_customers_wait_ends(age_s: float, level: Level) -> None:
    queue = replace(QUIET, name="updates", waiting=waiting(1), oldest_age_s=age_s, leased=1)
    assert judge(replace(WELL, queues=[queue])).level is level


@pytest.mark.parametrize(
    ("done", "died", "level"),
    [(1.0, 0.8, Level.GOOD), (9.0, 1.0, Level.GOOD), (7.0, 3.0, Level.LOOK), (2.0, 8.0, Level.ACT)],
)
def test_a_failure_rate_counts_only_with_enough_messages(done: float, died: float, level: Level) -> None:
    assert judged(done_per_minute=done, died_per_minute=died).level is level


def test_dead_letters_are_to_be_looked_at() -> None:
    verdict = judged(dead=1200)
    assert (verdict.level, verdict.evidence[0].href) == (Level.LOOK, "/dead?queue=syncs")
    assert "1,200 dead letters" in verdict.evidence[0].what


def test_a_ledger_that_does_not_balance_is_to_be_acted_on() -> None:
    assert judged(ledger=replace(EMPTY, enqueued=1)).level is Level.ACT


@pytest.mark.parametrize(
    ("minutes", "usual_minutes", "is_stuck"),
    [(29, None, False), (31, None, True), (120, 90, False), (9, 1, False), (11, 1, True), (280, 90, True)],
)
def test_a_run_is_stuck_by_its_accounts_own_history(
    minutes: float, usual_minutes: float | None, *, is_stuck: bool
) -> None:
    usual = None if usual_minutes is None else timedelta(minutes=usual_minutes)
    running = Running(run=RUN, elapsed=timedelta(minutes=minutes), usual=usual)
    verdict = judge(replace(WELL, running=[running]))
    assert verdict.level is (Level.LOOK if is_stuck else Level.GOOD)


def test_the_worst_comes_first_and_names_the_whole() -> None:
    queue = replace(QUIET, dead=1, waiting=waiting(1), oldest_age_s=90)
    verdict = judge(replace(WELL, queues=[queue], worker_count=0))
    assert [one.level for one in verdict.evidence] == [Level.ACT, Level.LOOK]
    assert verdict.level is Level.ACT


@pytest.mark.parametrize("role", ["workers", "scheduler"])
def test_a_role_that_nobody_plays_is_to_be_acted_on(role: str) -> None:
    verdict = judge(replace(WELL, checks={role: {"status": "warn", "output": f"No {role} runs."}}))
    assert verdict.level is Level.ACT


def test_while_redis_is_gone_what_only_asks_it_says_nothing_more() -> None:
    failed = {"status": "fail", "output": "Redis did not answer."}
    verdict = judge(replace(WELL, checks={"redis": failed, "queues": failed, "workers": failed}))
    assert [one.what for one in verdict.evidence] == ["redis: Redis did not answer."]


def trouble(count: int, *, is_put_off: bool = True) -> Trouble:
    return Trouble(count=count, is_put_off=is_put_off, message="proxy 1 of 1 refused (407)", run_id="r9")


def test_syncs_that_are_put_off_say_why() -> None:
    (told,) = judge(replace(WELL, troubles=[trouble(1)], succeeded_count=20)).evidence
    assert told.level is Level.LOOK
    assert told.what == "1 sync is put off: proxy 1 of 1 refused (407)"
    assert told.href == "/runs/r9"


def test_when_most_syncs_fail_somebody_should_act() -> None:
    assert judge(replace(WELL, troubles=[trouble(5, is_put_off=False)])).level is Level.ACT
    assert judge(replace(WELL, troubles=[trouble(5)], succeeded_count=6)).level is Level.LOOK
    assert judge(replace(WELL, troubles=[trouble(2)])).level is Level.LOOK


def test_a_process_that_fell_silent_is_named() -> None:
    (told,) = judge(replace(WELL, silent=["worker:host-1:417"])).evidence
    assert told.level is Level.LOOK
    assert "worker:host-1:417 fell silent" in told.what


def test_a_message_that_runs_for_too_long_is_named_by_its_queue() -> None:
    (told,) = judge(replace(WELL, slow=[Slow(queue="grades", count=2, longest_s=3000)])).evidence
    assert told.what.startswith("2 messages of grades have run for more than 30 min, the longest for 50 min")


def incident(severity: Severity, *, key: str = "queue:syncs") -> Incident:
    told = Alert(
        kind="slow",
        severity=severity,
        what="syncs is slow.",
        step="See `clubsync workers`.",
        since=NOW,
        is_open=True,
    )
    over = replace(told, severity=Severity.ERROR, step="Resume it.", is_open=False)
    return Incident(
        id="i1",
        key=key,
        severity=severity,
        title="syncs is slow.",
        party=None,
        alerts=(over, told),
        first_seen_at=NOW - timedelta(minutes=1),
        seen_at=NOW,
        opened_at=NOW,
    )


@pytest.mark.parametrize(("severity", "level"), [(Severity.ERROR, Level.ACT), (Severity.WARNING, Level.LOOK)])
def test_an_open_incident_raises_the_verdict(severity: Severity, level: Level) -> None:
    verdict = judge(replace(WELL, incidents=[incident(severity)]))
    assert verdict.level is level
    (told,) = verdict.evidence
    assert (told.what, told.since) == ("syncs is slow. See `clubsync workers`.", NOW)
    assert told.href == "/queues#syncs"


@pytest.mark.parametrize(
    ("key", "href"),
    [("canary:4", "/config"), ("scheduler", "/workers"), ("provider:playhq", "/runs?state=failed")],
)
def test_an_incident_leads_to_where_its_cause_can_be_seen(key: str, href: str) -> None:
    (told,) = judge(replace(WELL, incidents=[incident(Severity.ERROR, key=key)])).evidence
    assert told.href == href


def test_a_mere_remark_leaves_the_verdict_good() -> None:
    assert judge(replace(WELL, incidents=[incident(Severity.INFO)])).level is Level.GOOD


def test_the_thresholds_are_those_of_the_alerts() -> None:
    rules = AlertsSettings(
        oldest_s={"syncs": 10},
        backlog={"syncs": 1},
        failure_least=2,
        failure_share=0.9,
        stuck_s=60,
        stuck_factor=1,
    )
    old = replace(QUIET, waiting=waiting(1), oldest_age_s=15, leased=1)
    many = replace(QUIET, waiting=waiting(2), oldest_age_s=1, leased=1)
    dying = replace(QUIET, done_per_minute=1.0, died_per_minute=3.0)
    assert [judge(replace(WELL, queues=[queue], rules=rules)).level for queue in (old, many, dying)] == [
        Level.LOOK,
        Level.LOOK,
        Level.GOOD,
    ]
    running = Running(run=RUN, elapsed=timedelta(minutes=2), usual=None)
    assert judge(replace(WELL, running=[running], rules=rules)).level is Level.LOOK
