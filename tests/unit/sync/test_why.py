"""The gate that holds a sync up is named, with when it should open."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sync.report import Mode, Run, RunState
from sync.why import Holder, Place, Situation, Tick, explain, explain_idle
from tests.fakes import START

RUN = Run(id="r1", mode=Mode.CLUB, preset="full", state=RunState.QUEUED, requested_at=START, account_id=42)
OTHER = replace(RUN, id="r2", account_id=7)
READY = Situation(run=RUN, queue="syncs", place=Place.WAITING, taking_worker_count=1, done_per_minute=30.0)
LEASED: dict[str, Any] = {"place": Place.LEASED}
DELAYED: dict[str, Any] = {"place": Place.DELAYED, "due_in_s": 90.0}


@pytest.mark.parametrize(
    ("changes", "gate", "said", "eta_s"),
    [
        ({}, "next", "as soon as a worker has a free slot", None),
        ({"ahead": 60}, "queue", "60 messages of syncs start before it", 120),
        ({"ahead": 60, "done_per_minute": 0.0}, "queue", "60 messages", None),
        ({"is_full": True}, "limit", "As many of syncs run at once", None),
        ({"is_paused": True, "paused_by": "ann at 00:12 UTC"}, "paused", "by ann at 00:12 UTC", None),
        ({"taking_worker_count": 0}, "no worker", "start one with `clubsync worker`", None),
        (
            {"taking_worker_count": 0, "silent_worker": "worker:a:1"},
            "no worker",
            "registered but silent",
            None,
        ),
        ({"taking_worker_count": 0, "quiet_worker": "w1"}, "no worker", "quiet w1 --off", None),
        ({"outage": "cms: it answered 503."}, "outage", "cms: it answered 503; no sync gets through", None),
        ({**DELAYED, "outage": "redis: full"}, "outage", "redis: full", None),
        ({"is_paused": True, "outage": "redis: full"}, "paused", "resume it", None),
        (DELAYED, "delayed", "due later", 90),
        ({**DELAYED, "run": replace(RUN, batch_id="b1")}, "spread", "spread over a time", 90),
        ({**DELAYED, "pause_s": 30.0}, "quota", "throttles", 30),
        ({**DELAYED, "breaker_open_s": 42.0}, "breaker", "does not answer", 42),
        ({**DELAYED, "holder": Holder(run=OTHER, left_s=None)}, "leased", "of account 7", 90),
        ({"place": None}, "gone", "no longer in a queue", None),
        ({**LEASED, "holder": Holder(run=OTHER, left_s=20.0)}, "leased", "Another run", 20),
        ({**LEASED, "holder": Holder(run=None, left_s=None)}, "leased", "by hand", None),
        ({**LEASED, "left_s": 12.0}, "none", "It is running", 12),
        ({**LEASED, "breaker_open_s": 42.0}, "breaker", "does not answer", 42),
        ({**LEASED, "pause_s": 3.0}, "quota", "throttles", 3),
        ({**LEASED, "is_worker_lost": True}, "worker lost", "another one goes on", 15),
        (
            {"place": None, "run": replace(RUN, preset="undo", of_run_id="r0")},
            "interrupted",
            "asked for again",
            None,
        ),
    ],
)
def test_the_closed_gate_is_named(changes: dict[str, Any], gate: str, said: str, eta_s: float | None) -> None:
    answer = explain(replace(READY, **changes))
    assert (answer.gate, answer.eta_s) == (gate, eta_s)
    assert said in answer.text


NIGHTLY = Tick(entry_id="nightly", is_paused=False, paused_by=None, next_at=START + timedelta(hours=2))


@pytest.mark.parametrize(
    ("ticks", "gate", "said", "eta_s"),
    [
        ([NIGHTLY], "scheduled", "nightly is next", 7200),
        ([replace(NIGHTLY, is_paused=True, paused_by="ann")], "schedule paused", "by ann", None),
        ([replace(NIGHTLY, next_at=None)], "no scheduler", "No scheduler leads", None),
        ([], "nothing asked", "ask for a sync", None),
    ],
)
def test_without_a_sync_its_schedule_is_named(
    ticks: list[Tick], gate: str, said: str, eta_s: float | None
) -> None:
    answer = explain_idle(None, waits_for_person=None, ticks=ticks, now=START)
    assert (answer.gate, answer.eta_s) == (gate, eta_s)
    assert said in answer.text


def test_a_last_sync_that_failed_says_why() -> None:
    failed = replace(RUN, state=RunState.FAILED, message="the provider refuses our key.")
    answer = explain_idle(failed, waits_for_person=None, ticks=[NIGHTLY], now=START)
    assert answer.text == "The last sync failed: the provider refuses our key. nightly is next."


def test_what_fails_until_somebody_mends_it_says_what_to_mend() -> None:
    failed = replace(RUN, state=RunState.FAILED, message="the provider refuses our key.")
    answer = explain_idle(failed, waits_for_person=None, ticks=[NIGHTLY], now=START, step="Put the key in.")
    assert (answer.gate, answer.href) == ("to be mended", "/runs/r1")
    assert answer.text == "The last sync failed: the provider refuses our key. Put the key in."


def test_what_waits_for_a_person_comes_before_the_schedule() -> None:
    answer = explain_idle(RUN, waits_for_person=RUN, ticks=[NIGHTLY], now=START)
    assert (answer.gate, answer.href) == ("held", "/runs/r1#plan")
