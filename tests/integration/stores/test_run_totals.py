"""Finished runs are added up by mode, outcome and provider."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import redis

from stores.redis.run_totals import Counted, RunTotals
from sync.report import Mode, Outcome, RequestCounts, Run, RunState, Stage, StageReport

AT = datetime(2031, 1, 5, 2, 0, tzinfo=UTC)
RUN = Run(
    id="1",
    mode=Mode.CLUB,
    preset="full",
    state=RunState.SUCCEEDED,
    requested_at=AT,
    provider="playhq",
    started_at=AT,
    finished_at=AT + timedelta(seconds=2.5),
    requests=RequestCounts(sent=7, cache_hits=2, throttled=1),
    stages={
        Stage.TEAMS: StageReport(outcome=Outcome.SUCCEEDED, read=3, created=2),
        Stage.GAMES: StageReport(outcome=Outcome.SUCCEEDED, read=5, created=1, removed=1),
    },
)


def test_runs_of_a_mode_are_added_up(redis_client: redis.Redis, namespace: str) -> None:
    totals = RunTotals(redis_client, namespace)
    totals.add(RUN)
    totals.add(replace(RUN, state=RunState.FAILED, stages={}, requests=RequestCounts(sent=1)))
    assert totals.read() == {
        Counted("runs", ("club", "succeeded")): 1,
        Counted("runs", ("club", "failed")): 1,
        Counted("seconds", ("club",)): 5.0,
        Counted("requests", ("playhq", "sent")): 8,
        Counted("requests", ("playhq", "cache_hits")): 2,
        Counted("requests", ("playhq", "throttled")): 1,
        Counted("records", ("club", "read")): 8,
        Counted("records", ("club", "created")): 3,
        Counted("records", ("club", "removed")): 1,
    }


def test_a_dry_run_has_requests_but_no_records(redis_client: redis.Redis, namespace: str) -> None:
    totals = RunTotals(redis_client, namespace)
    totals.add(replace(RUN, dry_run=True))
    assert {counted.name for counted in totals.read()} == {"runs", "seconds", "requests"}
