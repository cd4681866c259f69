from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from brokers.queues import Priority
from brokers.states import Ledger, QueueState
from notifications.verdict.evidence import Level
from notifications.verdict.facts import Facts, Pause, Running, Slow, Trouble
from notifications.verdict.judge import Verdict, judge
from settings.schema import AlertsSettings
from sync.incident import Alert, Incident, Severity
from sync.report import Mode, Run, RunState

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
    verdict = judge(replace(WELL, queues=[queue], paused_by={"syncs": Pause(by="ann", at=NOW)}))
    assert verdict.level is Level.LOOK
    (told,) = verdict.evidence
    assert (told.what, told.since) == ("syncs is paused by ann; 3 wait.", NOW)


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
    assert verdict.evidence[1].what == "1 dead letter in syncs."
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
    message = "proxy 1 of 1 refused (407)"
    return Trouble(key="proxy", count=count, is_put_off=is_put_off, message=message, run_id="r9")


def test_syncs_that_are_put_off_say_why() -> None:
    (told,) = judge(replace(WELL, troubles=[trouble(1)], succeeded_count=20)).evidence
    assert told.level is Level.LOOK
    assert told.what == "1 sync is put off: proxy 1 of 1 refused (407)."
    assert told.href == "/runs/r9"


def test_when_most_syncs_fail_somebody_should_act() -> None:
    assert judge(replace(WELL, troubles=[trouble(5, is_put_off=False)])).level is Level.ACT
    assert judge(replace(WELL, troubles=[trouble(5)], succeeded_count=6)).level is Level.LOOK
    assert judge(replace(WELL, troubles=[trouble(2)])).level is Level.LOOK


def test_a_process_that_fell_silent_is_named() -> None:
    (told,) = judge(replace(WELL, silent=["worker:host-1:417"])).evidence
    assert told.level is Level.LOOK
    assert "worker:host-1:417 fell silent" in told.what


@pytest.mark.parametrize(("count", "level"), [(0, Level.LOOK), (2, Level.ACT)])
def test_workers_that_are_all_quiet_are_told_with_the_way_back(count: int, level: Level) -> None:
    queue = replace(QUIET, waiting=waiting(count))
    (told,) = judge(replace(WELL, queues=[queue], quiet=["host-1:7:a"])).evidence
    assert (told.key, told.level) == ("workers", level)
    assert told.what == f"host-1:7:a is quiet, and no other worker lives: nothing is started; {count} wait."
    assert told.command == "clubsync workers quiet host-1:7:a --off"


def test_a_machine_whose_workers_keep_dying_is_one_item() -> None:
    (told,) = judge(replace(WELL, silent=["worker:host-1:417", "worker:host-1:431"])).evidence
    assert "A worker on host-1 fell silent 2 times" in told.what


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


def open_alert(kind: str, severity: Severity = Severity.ERROR, *, key: str = "queue:syncs") -> Incident:
    one = incident(severity, key=key)
    return replace(one, alerts=(replace(one.alerts[1], kind=kind, severity=severity),))


def items(**changes: Any) -> list[str]:
    """What the verdict's items say first."""
    return [one.what for one in judge(replace(WELL, **changes)).evidence]


LONG_WAITING = replace(QUIET, waiting=waiting(3), oldest_age_s=9000)
NO_WORKER = {"workers": {"status": "warn", "output": "No worker runs, so nothing is carried out."}}


def test_a_paused_queue_and_its_incident_are_one_item_as_bad_and_old_as_the_incident() -> None:
    paused = replace(LONG_WAITING, is_paused=True, oldest_age_s=30)
    verdict = judge(replace(WELL, queues=[paused], incidents=[open_alert("paused"), open_alert("slow")]))
    (told,) = verdict.evidence
    assert (told.what, told.level, told.since) == ("syncs is paused; 3 wait.", Level.ACT, NOW)


@pytest.mark.parametrize("kind", ["paused", "stalled", "dead_letters", "ledger"])
def test_what_is_mended_is_gone_before_its_incident_is_closed(kind: str) -> None:
    assert items(incidents=[open_alert(kind)]) == []
    assert items(incidents=[open_alert("no_worker", key="workers")]) == []


def test_what_the_last_look_did_not_see_any_more_is_over() -> None:
    fading = open_alert("slow")
    fading = replace(fading, alerts=(replace(fading.alerts[0], missed=1),))
    assert items(incidents=[fading]) == []


def test_without_a_worker_that_is_the_one_item_and_what_comes_of_it_stands_below() -> None:
    verdict = judge(
        replace(
            WELL,
            checks=NO_WORKER,
            queues=[LONG_WAITING, replace(LONG_WAITING, name="direct")],
            worker_count=0,
            silent=["worker:host-1:417"],
            incidents=[open_alert("no_worker", key="workers"), open_alert("stalled")],
        )
    )
    (told,) = verdict.evidence
    assert told.what == "workers: No worker runs, so nothing is carried out."
    assert [one.key for one in told.also] == ["queue:syncs", "queue:direct", "silent:worker:host-1"]


def test_a_paused_queue_is_an_item_of_its_own_although_no_worker_lives() -> None:
    assert len(items(checks=NO_WORKER, queues=[replace(LONG_WAITING, is_paused=True)], worker_count=0)) == 2


def test_dead_letters_come_of_what_lets_syncs_fail() -> None:
    failing = replace(QUIET, dead=7, died_per_minute=4.0)
    refused = Trouble(
        key="provider:playhq", count=7, is_put_off=False, message="401", run_id="r9", step="Put the key."
    )
    sync_queues = frozenset({"syncs"})
    verdict = judge(replace(WELL, queues=[failing], troubles=[refused], sync_queues=sync_queues))
    (told,) = verdict.evidence
    assert told.what == "7 syncs failed in the last hour: 401. Put the key."
    assert {one.key for one in told.also} == {"dead:syncs"}
    elsewhere = replace(failing, name="notifications")
    assert len(items(queues=[elsewhere], troubles=[refused], sync_queues=sync_queues)) == 2


def test_a_key_that_is_refused_is_to_be_acted_on_at_once() -> None:
    one = replace(trouble(1, is_put_off=False), is_hopeless=True)
    assert judge(replace(WELL, troubles=[one], succeeded_count=900)).level is Level.ACT


def test_dead_notices_come_of_the_channel_that_refuses_them() -> None:
    dead = replace(QUIET, name="notifications", dead=5)
    refusing = open_alert("channel_refuses", key="channel:slack")
    (told,) = judge(replace(WELL, queues=[dead], incidents=[refusing])).evidence
    assert (told.key, [one.key for one in told.also]) == ("channel:slack", ["dead:notifications"])


def test_a_provider_that_is_down_is_one_item() -> None:
    down = {"provider:playhq": {"status": "warn", "output": "api.playhq.com does not answer."}}
    resting = Trouble(key="provider:playhq", count=3, is_put_off=True, message="it rests", run_id="r9")
    told = [open_alert("breaker_open", Severity.WARNING, key="provider:playhq")]
    assert len(items(checks=down, troubles=[resting], incidents=told)) == 1


def test_a_throttled_provider_says_until_when() -> None:
    (told,) = items(throttled_s={"playhq": 170.0})
    assert "playhq throttles: everybody who uses its key pauses for 3 min more" in told
    assert items(throttled_s={"playhq": 2.0}) == []


def test_a_throttled_provider_is_told_once_although_a_check_says_so_too() -> None:
    check = {"status": "warn", "output": "It throttles."}
    (told,) = items(checks={"provider:playhq": check}, throttled_s={"playhq": 170.0})
    assert told.startswith("playhq throttles")


def test_what_a_guard_held_back_waits_for_a_person() -> None:
    (told,) = judge(replace(WELL, held=[RUN, replace(RUN, id="r0")])).evidence
    assert "the sync of account 42 and 1 more would write; it waits for a person" in told.what
    assert told.href == "/runs/r1#plan"


def test_a_queue_without_a_worker_is_told_once() -> None:
    queue = replace(LONG_WAITING, name="direct")
    checks = {"served": {"status": "warn", "output": "No worker serves direct."}}
    (told,) = items(checks=checks, queues=[queue], unserved=["direct"], incidents=[])
    assert told.startswith("No worker serves direct; 3 wait there.")


def test_a_worker_without_an_actor_for_its_queue_is_named() -> None:
    (told,) = items(without_actor={"worker:host-1:417": ("syncs",)})
    assert told.startswith("worker:host-1:417 serves syncs but has no actor for it")


def test_while_redis_refuses_writes_only_the_disk_is_told_beside_it() -> None:
    checks = {
        "redis": {"status": "fail", "output": "It refuses writes."},
        "disk": {"status": "warn", "output": "nearly full"},
    }
    told = items(checks=checks, queues=[LONG_WAITING], worker_count=0, silent=["worker:host-1:417"])
    assert told == ["redis: It refuses writes.", "disk: nearly full"]


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
