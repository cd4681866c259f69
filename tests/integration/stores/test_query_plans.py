"""Every list is read from an index: no query walks a table of a million rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, event, text

from stores.sql.engine import reading, writing
from stores.sql.paging import cut_page
from stores.sql.runs import RunFilter
from stores.sql.stores import SqlStores, open_stores
from stores.timeline import timeline_of_account
from sync.causes import Cause
from sync.model import OrganisationKind, RecordKind
from sync.report import RunState
from tests.fakes import FakeClock
from tests.integration.stores.conftest import NOW
from tests.integration.stores.test_runs import a_run

RUNS_CURSOR = cut_page([(NOW, "run-1"), (NOW, "run-0")], 1, lambda row: row).next_cursor
CHANGES_CURSOR = cut_page([(7,), (6,)], 1, lambda row: row).next_cursor

QUERIES: dict[str, Callable[[SqlStores], object]] = {
    "all runs": lambda stores: stores.runs.list(RunFilter(), limit=50, cursor=RUNS_CURSOR),
    "runs of an account": lambda stores: stores.runs.list(
        RunFilter(account_id=1), limit=50, cursor=RUNS_CURSOR
    ),
    "runs of an organisation": lambda stores: stores.runs.list(RunFilter(organisation_id="club-1"), limit=50),
    "failed runs": lambda stores: stores.runs.list(RunFilter(state=RunState.FAILED), limit=50),
    "recent runs": lambda stores: stores.runs.list(
        RunFilter(requested_since=NOW - timedelta(days=1)), limit=50
    ),
    "runs of a batch": lambda stores: stores.runs.list(RunFilter(batch_id="batch-1"), limit=50),
    "state of a batch": lambda stores: stores.runs.count_by_state("batch-1"),
    "latest run of an account": lambda stores: stores.runs.latest(1),
    "changes of a run": lambda stores: stores.changes.of_run("run-1", limit=50, cursor=CHANGES_CURSOR),
    "timeline of an account": lambda stores: stores.changes.of_account(1, limit=50, cursor=CHANGES_CURSOR),
    "history of a record": lambda stores: stores.changes.of_record(RecordKind.GAME, "game-1", limit=50),
    "audit of a subject": lambda stores: stores.audit.list(limit=50, subject="account:1"),
    "outcomes of the last minutes": lambda stores: stores.outcomes.since(NOW),
    "failures alike": lambda stores: stores.outcomes.count_alike("playhq", Cause.BUG, since=NOW),
    "running runs": lambda stores: stores.outcomes.running(limit=50),
    "an account's usual time": lambda stores: stores.outcomes.usual_s(1, of_last=6),
    "channels that wait": lambda stores: stores.notices.due_channels(),
    "channels that wait for long": lambda stores: stores.notices.overdue_channels(before=NOW),
    "channels that refuse": lambda stores: stores.notices.refused_since(NOW),
    "messages of a channel": lambda stores: stores.notices.count_messages("slack", since=NOW),
    "notices of a run": lambda stores: stores.notices.of_run("run-1"),
    "audit of a run": lambda stores: stores.audit.about(["run:run-1"], limit=30),
    "the thread of an incident": lambda stores: stores.notices.thread_of("incident-1", "slack"),
    "open incidents": lambda stores: stores.incidents.current(),
    "all incidents": lambda stores: stores.incidents.list(limit=50),
    "batches": lambda stores: stores.batches.list(limit=50),
    "games of grades": lambda stores: stores.mirror.read_games(["grade-1", "grade-2"]),
    "grades with recent games": lambda stores: stores.mirror.find_game_grades(["home"], since=NOW.date()),
    "teams of a season": lambda stores: stores.mirror.read_teams(["season-1"]),
    "organisation": lambda stores: stores.organisations.find(OrganisationKind.CLUB, "club-1"),
}


@pytest.fixture
def statements(sqlite_engine: Engine) -> Iterator[list[tuple[str, Any]]]:
    """Every statement that is sent to the database, with its values."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        seen.append((statement, values))

    event.listen(sqlite_engine, "before_cursor_execute", note)
    yield seen
    event.remove(sqlite_engine, "before_cursor_execute", note)


@pytest.mark.parametrize("name", QUERIES)
def test_list_is_read_from_an_index_in_its_order(
    name: str, sqlite_engine: Engine, statements: list[tuple[str, Any]]
) -> None:
    QUERIES[name](open_stores(sqlite_engine, FakeClock()))
    plans = []
    with reading(sqlite_engine) as connection:
        for statement, values in [pair for pair in statements if pair[0].startswith("SELECT")]:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            plans.append([row.detail for row in rows])

    assert plans
    for plan in plans:
        assert all("SCAN" not in step or "USING" in step for step in plan), plan
        assert all("ORDER BY" not in step for step in plan), plan


def test_timeline_asks_no_more_for_an_account_with_many_runs(
    sqlite_engine: Engine, statements: list[tuple[str, Any]]
) -> None:
    stores = open_stores(sqlite_engine, FakeClock())
    costs = []
    for account_id, count in ((1, 1), (2, 20)):
        stores.runs.request_many(
            [a_run(account_id * 100 + number, account_id=account_id) for number in range(count)]
        )
        stores.audit.record(
            actor="ada", source="cli", action="runs_undo", subject=f"run:run-{account_id}00", detail={}
        )
        statements.clear()
        events = timeline_of_account(stores, account_id, ())
        costs.append(len(statements))
        assert [event.run_id for event in events if event.kind == "act"] == [f"run-{account_id}00"]

    assert costs[0] == costs[1]


def test_club_export_reads_no_table_whole(sqlite_engine: Engine, statements: list[tuple[str, Any]]) -> None:
    stores = open_stores(sqlite_engine, FakeClock())
    with writing(sqlite_engine) as connection:
        connection.execute(
            text(
                "INSERT INTO teams (id, name, season_id, club_id, grade_id) VALUES ('t', 'T', 's', 'c', 'g')"
            )
        )
        connection.execute(
            text("INSERT INTO seasons (id, name, status, association_id) VALUES ('s', '', '', 'a')")
        )
    stores.exports.read(OrganisationKind.CLUB, "c")
    with reading(sqlite_engine) as connection:
        plans = [
            row.detail
            for statement, values in [pair for pair in statements if pair[0].startswith("SELECT")]
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
        ]

    assert len(plans) > 5
    assert all("SEARCH" in step or "TEMP B-TREE" in step for step in plans), plans
