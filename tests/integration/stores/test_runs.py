"""Run records: asked for once, saved, listed by every question that is asked of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stores.sql.documents import run_document
from stores.sql.runs import RunFilter
from stores.sql.stores import SqlStores
from sync.errors import InvalidRequest, NotFound
from sync.report import Mode, Outcome, RequestCounts, Run, RunState, Stage, StageReport
from tests.integration.stores.conftest import NOW


def a_run(number: int = 1, **fields: Any) -> Run:
    known: dict[str, Any] = {
        "mode": Mode.CLUB,
        "preset": "full",
        "state": RunState.QUEUED,
        "requested_at": NOW + timedelta(minutes=number),
        "account_id": 42,
    }
    return Run(id=f"run-{number}", **{**known, **fields})


FINISHED = a_run(
    state=RunState.PARTIAL,
    organisation_id="club-1",
    provider="playhq",
    batch_id="batch-1",
    started_at=NOW,
    finished_at=NOW + timedelta(seconds=2.5),
    config_version=3,
    stages={
        Stage.GAMES: StageReport(outcome=Outcome.SUCCEEDED, read=41, created=2, duration_s=0.5),
        Stage.FIXTURE_VALIDATION: StageReport(outcome=Outcome.PARTIAL, quarantined=1, message="odd"),
    },
    requests=RequestCounts(sent=9, cache_hits=2, retried=1),
    message="one record is odd",
)


def test_finished_run_comes_back_whole(stores: SqlStores) -> None:
    stores.runs.save(FINISHED)

    assert stores.runs.find("run-1") == FINISHED


def test_requesting_again_changes_nothing(stores: SqlStores) -> None:
    stores.runs.save(FINISHED)
    stores.runs.request(a_run())

    assert stores.runs.find("run-1") == FINISHED


def test_unknown_run_is_not_found(stores: SqlStores) -> None:
    with pytest.raises(NotFound, match="run none does not exist"):
        stores.runs.find("none")


def test_run_document_has_the_shape_that_programs_read() -> None:
    document = run_document(FINISHED)

    assert list(document) == [
        *("id", "mode", "account_id", "organisation_id", "provider", "batch_id", "of_run_id", "preset"),
        *("state", "outcome", "delivery", "dry_run", "requested_at", "started_at", "finished_at"),
        "duration_s",
        *("config_version", "stages", "requests", "holds", "plan_hash", "message", "cause"),
    ]
    assert document["outcome"] == "partial"
    assert document["started_at"] == "2031-10-20T09:30:00.123456Z"
    assert document["duration_s"] == 2.5
    games = document["stages"]["games"]
    assert {name: games[name] for name in ("outcome", "read", "created", "removed", "duration_s")} == {
        "outcome": "succeeded",
        "read": 41,
        "created": 2,
        "removed": 0,
        "duration_s": 0.5,
    }
    assert document["requests"]["sent"] == 9


def test_waiting_run_has_no_outcome_yet() -> None:
    document = run_document(a_run())

    assert (document["state"], document["outcome"], document["duration_s"]) == ("queued", None, None)


def test_filters_narrow_the_list_newest_first(stores: SqlStores) -> None:
    runs = [
        a_run(1, state=RunState.FAILED),
        a_run(2, account_id=None, organisation_id="club-1", mode=Mode.CLUB_DIRECT),
        a_run(3, batch_id="batch-1"),
        a_run(4, batch_id="batch-1", state=RunState.SUCCEEDED),
    ]
    for run in runs:
        stores.runs.save(run)

    def ids(wanted: RunFilter) -> list[str]:
        return [run.id.removeprefix("run-") for run in stores.runs.list(wanted, limit=10).items]

    assert ids(RunFilter()) == ["4", "3", "2", "1"]
    assert ids(RunFilter(account_id=42)) == ["4", "3", "1"]
    assert ids(RunFilter(state=RunState.FAILED)) == ["1"]
    assert ids(RunFilter(mode=Mode.CLUB_DIRECT)) == ["2"]
    assert ids(RunFilter(organisation_id="club-1")) == ["2"]
    assert ids(RunFilter(batch_id="batch-1")) == ["4", "3"]
    assert ids(RunFilter(requested_since=runs[2].requested_at)) == ["4", "3"]


def test_pages_follow_each_other_even_when_runs_were_asked_for_together(stores: SqlStores) -> None:
    for number in range(5):
        stores.runs.save(replace(a_run(number), requested_at=NOW))
    seen, cursor = [], None
    while True:
        page = stores.runs.list(RunFilter(), limit=2, cursor=cursor)
        seen += [run.id for run in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert seen == ["run-4", "run-3", "run-2", "run-1", "run-0"]


def test_foreign_cursor_is_refused(stores: SqlStores) -> None:
    with pytest.raises(InvalidRequest):
        stores.runs.list(RunFilter(), limit=2, cursor="mine")


def test_latest_run_of_an_account(stores: SqlStores) -> None:
    for number in (2, 3, 1):
        stores.runs.save(a_run(number))

    latest = stores.runs.latest(42)
    assert latest is not None
    assert latest.id == "run-3"
    assert stores.runs.latest(43) is None


def test_batch_is_counted_by_state(stores: SqlStores) -> None:
    for number, state in enumerate((RunState.QUEUED, RunState.SUCCEEDED, RunState.QUEUED)):
        stores.runs.save(a_run(number, batch_id="batch-1", state=state))

    assert stores.runs.count_by_state("batch-1") == {RunState.QUEUED: 2, RunState.SUCCEEDED: 1}


def test_the_last_runs_of_many_accounts_come_in_one_look(stores: SqlStores) -> None:
    for number in range(1, 6):
        stores.runs.save(a_run(number, state=RunState.FAILED if number == 5 else RunState.SUCCEEDED))
    stores.runs.save(a_run(6, account_id=43))
    stores.runs.save(a_run(7, account_id=44))
    found = stores.runs.latest_of([42, 43, 9], each=2)
    ids = {account: [run.id for run in runs] for account, runs in found.items()}
    assert ids == {42: ["run-5", "run-4"], 43: ["run-6"]}
    good = stores.runs.latest_of([42], each=2, state=RunState.SUCCEEDED)
    assert [run.id for run in good[42]] == ["run-4", "run-3"]
