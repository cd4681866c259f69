"""`python -m benchmarks stores`: lists and timelines of the SQL stores at real volumes.

Fills a database with accounts, runs and changes, then times what the dashboard asks for.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, Table, insert

from stores.sql import migrate
from stores.sql.accounts import AccountFilter
from stores.sql.engine import open_engine, writing
from stores.sql.runs import RunFilter
from stores.sql.stores import SqlStores, open_stores
from stores.sql.tables import accounts, changes, organisations, runs
from sync.clock import SystemClock
from sync.model import RecordKind
from sync.report import RunState

_START = datetime(2031, 1, 1, tzinfo=UTC)
_CHUNK = 20_000
_ROUNDS = 20
# A page of a dashboard should not be felt; the bound leaves room for a slow disk.
_SLOWEST_MS = 50.0


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks stores", description=__doc__)
    parser.add_argument("--url", help="an empty database; default: a SQLite file that is deleted again")
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--changes", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite:///{Path(folder) / 'volumes.db'}"
        engine = open_engine(url, busy_timeout_s=60)
        migrate.upgrade(engine)
        fill(engine, options.accounts, options.runs, options.changes)
        slowest_ms = _time_questions(open_stores(engine, SystemClock()), options.accounts, options.runs)
        engine.dispose()
    return 0 if slowest_ms <= _SLOWEST_MS else 1


def fill(engine: Engine, account_count: int, run_count: int, change_count: int) -> None:
    for table, rows in (
        (organisations, _organisations(account_count)),
        (accounts, _accounts(account_count)),
        (runs, _runs(run_count, account_count)),
        (changes, _changes(change_count, run_count, account_count)),
    ):
        started_s = time.perf_counter()
        count = _insert(engine, table, rows)
        print(f"{table.name:<14} {count:>9,} rows  {count / (time.perf_counter() - started_s):>9,.0f} rows/s")


def _insert(engine: Engine, table: Table, rows: Iterator[Mapping[str, Any]]) -> int:
    count = 0
    chunk: list[Mapping[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _CHUNK:
            count += _insert_chunk(engine, table, chunk)
    return count + _insert_chunk(engine, table, chunk)


def _insert_chunk(engine: Engine, table: Table, chunk: list[Mapping[str, Any]]) -> int:
    if chunk:
        with writing(engine) as connection:
            connection.execute(insert(table), chunk)
    count = len(chunk)
    chunk.clear()
    return count


def _time_questions(stores: SqlStores, account_count: int, run_count: int) -> float:
    account_id, run_id = account_count // 2, f"{run_count // 2:032x}"
    middle = stores.runs.list(RunFilter(requested_since=_START), limit=50).next_cursor
    questions: Mapping[str, Callable[[], object]] = {
        "newest runs": lambda: stores.runs.list(RunFilter(), limit=50),
        "second page of runs": lambda: stores.runs.list(RunFilter(), limit=50, cursor=middle),
        "runs of an account": lambda: stores.runs.list(RunFilter(account_id=account_id), limit=50),
        "failed runs": lambda: stores.runs.list(RunFilter(state=RunState.FAILED), limit=50),
        "runs of a batch": lambda: stores.runs.list(RunFilter(batch_id="batch-7"), limit=50),
        "state of a batch": lambda: stores.runs.count_by_state("batch-7"),
        "one run": lambda: stores.runs.find(run_id),
        "changes of a run": lambda: stores.changes.of_run(run_id, limit=50),
        "timeline of an account": lambda: stores.changes.of_account(account_id, limit=50),
        "history of a record": lambda: stores.changes.of_record(RecordKind.TEAM, "team-77", limit=50),
        "accounts": lambda: stores.accounts.list(AccountFilter(), limit=50),
        "accounts by name": lambda: stores.accounts.list(AccountFilter(name="club 99"), limit=50),
        "one account": lambda: stores.accounts.find(account_id),
    }
    slowest_ms = 0.0
    for name, ask in questions.items():
        ask()
        times_ms = []
        for _ in range(_ROUNDS):
            started_s = time.perf_counter()
            ask()
            times_ms.append((time.perf_counter() - started_s) * 1000)
        slowest_ms = max(slowest_ms, statistics.median(times_ms))
        print(f"{name:<24} median {statistics.median(times_ms):>7.2f} ms   max {max(times_ms):>7.2f} ms")
    return slowest_ms


def _organisations(count: int) -> Iterator[Mapping[str, Any]]:
    for number in range(1, count + 1):
        yield {
            "provider": "playhq",
            "id": f"club-{number}",
            "kind": "club",
            "name": None,
            "association_ids": [],
        }


def _accounts(count: int) -> Iterator[Mapping[str, Any]]:
    for number in range(1, count + 1):
        yield {
            "id": number,
            "kind": "club",
            "name": f"Club {number}",
            "provider": "playhq",
            "organisation_id": f"club-{number}",
            "is_setup": True,
            "is_updating": False,
            "created_at": _START,
        }


def _runs(count: int, account_count: int) -> Iterator[Mapping[str, Any]]:
    for number in range(count):
        at = _START + timedelta(seconds=30 * number)
        yield {
            "id": f"{number:032x}",
            "mode": "club",
            "preset": "full",
            "state": "failed" if number % 97 == 0 else "succeeded",
            "account_id": 1 + number % account_count,
            "organisation_id": f"club-{1 + number % account_count}",
            "provider": "playhq",
            "batch_id": f"batch-{number // 500}",
            "dry_run": False,
            "requested_at": at,
            "started_at": at,
            "finished_at": at + timedelta(seconds=10),
            "config_version": 1,
            "stages": {"games": {"outcome": "succeeded", "read": 300, "updated": 4, "duration_s": 2.5}},
            "requests": {"sent": 44, "cache_hits": 12},
            "message": None,
        }


def _changes(count: int, run_count: int, account_count: int) -> Iterator[Mapping[str, Any]]:
    for number in range(count):
        run = number % run_count
        team = {"id": f"team-{number % 50_000}", "name": "Hawks", "season_id": "season-1"}
        yield {
            "run_id": f"{run:032x}",
            "account_id": 1 + run % account_count,
            "stage": "teams",
            "kind": "team",
            "record_id": team["id"],
            "action": "updated",
            "before": {**team, "name": "Hawkes"},
            "after": team,
            "fields": [{"name": "name", "before": "Hawkes", "after": "Hawks"}],
            "cause": "provider",
            "is_applied": True,
            "at": _START + timedelta(seconds=30 * run),
            "digest": f"{number:032x}",
        }
