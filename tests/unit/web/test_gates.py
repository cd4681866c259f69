from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from brokers.whereabouts import Place, Whereabouts
from stores.redis.gates import Held
from sync.report import Mode, Run, RunState
from web.dashboard.gates import Situation, explain

RUN = Run(
    id="r1",
    mode=Mode.CLUB,
    preset="full",
    state=RunState.QUEUED,
    requested_at=datetime(2031, 10, 18, tzinfo=UTC),
    account_id=42,
)
WAITING = Whereabouts(queue="syncs", message_id="m1", place=Place.WAITING)
LEASED = replace(WAITING, place=Place.LEASED)
READY = Situation(
    run=RUN,
    queue="syncs",
    whereabouts=WAITING,
    is_paused=False,
    paused_by=None,
    taking_worker_count=1,
    lease=None,
    breaker_open_s=0.0,
    done_per_minute=30.0,
)


@pytest.mark.parametrize(
    ("changes", "gate", "said", "eta_s"),
    [
        ({}, "next", "as soon as a worker has a free slot", None),
        ({"whereabouts": replace(WAITING, ahead=60)}, "queue", "60 messages of syncs start before it", 120),
        ({"whereabouts": replace(WAITING, ahead=60), "done_per_minute": 0}, "queue", "60 messages", None),
        ({"is_paused": True, "paused_by": "ann at 00:12 UTC"}, "paused", "by ann at 00:12 UTC", None),
        ({"taking_worker_count": 0}, "no worker", "start or wake one", None),
        (
            {"whereabouts": replace(WAITING, place=Place.DELAYED, due_in_s=90)},
            "delayed",
            "due later",
            90,
        ),
        ({"whereabouts": None}, "gone", "no longer in a queue", None),
        ({"whereabouts": LEASED, "lease": Held(owner="r2", left_s=20)}, "leased", "Another run", 20),
        ({"whereabouts": LEASED, "lease": Held(owner="r1", left_s=20)}, "none", "It is running", None),
        ({"whereabouts": LEASED, "breaker_open_s": 42}, "breaker", "the provider does not answer", 42),
    ],
)
def test_the_closed_gate_is_named(changes: dict[str, Any], gate: str, said: str, eta_s: float | None) -> None:
    answer = explain(replace(READY, **changes))
    assert (answer.gate, answer.eta_s) == (gate, eta_s)
    assert said in answer.text


def test_a_deferred_run_says_why_it_is_due_later() -> None:
    deferred = replace(RUN, state=RunState.DEFERRED, message="PlayHQ throttles this key")
    place = replace(WAITING, place=Place.DELAYED, due_in_s=30)
    answer = explain(replace(READY, run=deferred, whereabouts=place))
    assert "PlayHQ throttles this key" in answer.text


def test_a_pause_is_named_before_the_missing_worker() -> None:
    answer = explain(replace(READY, is_paused=True, taking_worker_count=0))
    assert answer.gate == "paused"
