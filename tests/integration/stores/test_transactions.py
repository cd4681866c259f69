"""Concurrent writers wait for each other, and readers wait for nobody."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, func, insert, select, text

from stores.sql.engine import carry_out, open_engine, reading, writing
from stores.sql.stores import open_stores
from stores.sql.tables import audit, fences
from sync.clock import SystemClock
from sync.errors import StoreUnavailable
from sync.model import Season, Team
from sync.ports import Fence
from sync.report import Stage
from tests.records import created, season, team

HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("COMMIT")
"""

# Greenlets share one thread: one that waits for the lock must let the other go on.
WAIT_UNDER_GEVENT = """
from gevent import monkey; monkey.patch_all()
import sys, gevent
from stores.sql.engine import open_engine, writing
from sync.errors import StoreUnavailable
from sync.model import Season, Team
from sync.ports import Fence
from sync.report import Stage
from tests.records import created, season, team
turns = 0
def others():
    global turns
    while True:
        gevent.sleep(0.01)
        turns += 1
def write():
    try:
        with writing(open_engine(sys.argv[1], busy_timeout_s=1)): pass
    except StoreUnavailable: print("gave up")
ticker = gevent.spawn(others)
gevent.spawn(write).join()
print(turns)
"""


def append(engine: Engine) -> None:
    with writing(engine) as connection:
        count = connection.scalar(select(func.count()).select_from(audit))
        connection.execute(
            insert(audit).values(
                at=SystemClock().now(), actor=str(count), source="test", action="append", detail={}
            )
        )


@pytest.fixture
def sqlite_path(migrated_sqlite: Path, tmp_path: Path) -> Path:
    """A migrated SQLite file."""
    return Path(shutil.copy(migrated_sqlite, tmp_path / "locks.db"))


@pytest.fixture
def other_writer(sqlite_path: Path) -> subprocess.Popen[str]:
    """Another process that holds the write lock until it gets a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_THE_LOCK, str(sqlite_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    return process


def test_many_writers_at_once_lose_nothing(engine: Engine) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(append, [engine] * 40))

    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(audit)) == 40


def test_runs_that_write_the_same_records_in_any_order_do_not_block_each_other(engine: Engine) -> None:
    stores = open_stores(engine, SystemClock())
    teams = [team(f"t{number}", season_id=f"s{number}") for number in range(30)]
    records: list[Season | Team] = [*(season(f"s{number}") for number in range(30)), *teams]
    barrier = threading.Barrier(4)

    def write(number: int) -> None:
        shuffled = random.Random(number).sample(records, len(records))
        barrier.wait()
        for turn in range(5):
            renamed = [replace(record, name=f"{number} {turn}") for record in shuffled]
            changes = [created(record) for record in renamed]
            fence = Fence(f"run-{number}", turn)
            assert stores.mirror.apply(f"run-{number}-{turn}", Stage.TEAMS, changes, fence=fence) == []

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))

    assert len(stores.mirror.find_records(Team, [one.id for one in teams])) == 30


@pytest.mark.postgres
def test_whoever_loses_a_deadlock_does_its_work_again(postgres_url: str) -> None:
    engine = open_engine(postgres_url, busy_timeout_s=1)
    with writing(engine) as connection:
        connection.execute(text("CREATE TABLE held (id int PRIMARY KEY, holder text)"))
        connection.execute(text("INSERT INTO held VALUES (1, ''), (2, '')"))
    both_hold_one = threading.Barrier(2)
    attempts: list[str] = []

    def take(name: str, order: tuple[int, int]) -> None:
        def work(connection: Connection) -> None:
            attempts.append(name)
            for number in order:
                connection.execute(
                    text("UPDATE held SET holder = :name WHERE id = :id"), {"name": name, "id": number}
                )
                if attempts.count(name) == 1 and number == order[0]:
                    both_hold_one.wait(30)

        carry_out(engine, work)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(take, ("a", "b"), ((1, 2), (2, 1))))
    assert sorted(attempts) in (["a", "a", "b"], ["a", "b", "b"])
    engine.dispose()


def test_failed_transaction_leaves_nothing(engine: Engine) -> None:
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(engine)

    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(fences)) == 0


def test_reader_sees_the_old_state_while_a_writer_works(engine: Engine) -> None:
    with writing(engine) as writer:
        writer.execute(insert(fences).values(key="k", token=1))
        with ThreadPoolExecutor(1) as pool:
            count = pool.submit(_count_fences, engine).result(timeout=30)

    assert count == 0


def test_sqlite_files_run_in_wal_mode_with_foreign_keys(sqlite_path: Path) -> None:
    engine = open_engine(f"sqlite:///{sqlite_path}", busy_timeout_s=1)
    with reading(engine) as connection:
        pragmas = [
            connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    engine.dispose()

    assert pragmas == ["wal", 1, 1]


def test_writer_gives_up_when_another_process_keeps_the_lock(
    sqlite_path: Path, other_writer: subprocess.Popen[str]
) -> None:
    engine = open_engine(f"sqlite:///{sqlite_path}", busy_timeout_s=0.1)
    with pytest.raises(StoreUnavailable, match="locked"), writing(engine):
        pass
    other_writer.communicate("\n", timeout=30)
    with writing(engine):
        pass
    engine.dispose()


def test_writer_gives_up_when_another_thread_keeps_its_turn(sqlite_path: Path) -> None:
    engine = open_engine(f"sqlite:///{sqlite_path}", busy_timeout_s=0.05)
    with writing(engine), ThreadPoolExecutor(1) as pool, pytest.raises(StoreUnavailable, match=r"0\.05 s"):
        pool.submit(append, engine).result(timeout=30)
    engine.dispose()


def test_writer_waits_until_another_process_lets_go(
    sqlite_path: Path, other_writer: subprocess.Popen[str]
) -> None:
    engine = open_engine(f"sqlite:///{sqlite_path}", busy_timeout_s=30)
    thread = threading.Thread(target=append, args=(engine,))
    thread.start()
    other_writer.communicate("\n", timeout=30)
    thread.join(30)

    with reading(engine) as connection:
        assert connection.scalar(select(func.count()).select_from(audit)) == 1
    engine.dispose()


def test_waiting_for_the_lock_does_not_freeze_other_greenlets(
    sqlite_path: Path, other_writer: subprocess.Popen[str]
) -> None:
    command = [sys.executable, "-c", WAIT_UNDER_GEVENT, f"sqlite:///{sqlite_path}"]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    other_writer.communicate("\n", timeout=30)

    gave_up, turns = answer.stdout.split("\n")[:2]
    assert gave_up == "gave up"
    # A second of waiting has room for a hundred; a frozen hub would leave two or three.
    assert int(turns) >= 15


def _write_and_fail(engine: Engine) -> None:
    with writing(engine) as connection:
        connection.execute(insert(fences).values(key="k", token=1))
        raise ZeroDivisionError


def _count_fences(engine: Engine) -> int:
    with reading(engine) as connection:
        return int(connection.scalar(select(func.count()).select_from(fences)) or 0)
