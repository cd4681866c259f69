"""Processes that are killed at each stage of a run, an undo or an approval: the next one ends it well.

Each is a process of its own over a real Redis, SQLite and a simulator over HTTP. It is killed
with SIGKILL at a given request or statement, so that a failure can be seen again.
"""

from __future__ import annotations

import os
import re
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx
import pytest
import redis
from sqlalchemy import Engine, event

from notifications.announcer import Announcer, Grouping
from settings.schema import AlertsSettings, RouteSettings
from simulator.app import Simulator
from stores.redis.gathers import RedisGathers
from stores.redis.leases import RedisLeases
from stores.sql.engine import open_engine
from sync.by_hand.approval_run import ApprovalRun
from sync.by_hand.run import ByHandRun
from sync.by_hand.undo_run import UndoRun
from sync.context import FanOut
from sync.errors import AccountBusy, LeaseLost, Stopping
from sync.grades.ports import GradeTask
from sync.model import OrganisationKind
from sync.report import Mode, Outcome, RunState
from sync.request import SyncRequest
from tests.fakes import FakeStopSignal
from tests.integration.sync.conftest import Bench, open_bench
from tests.integration.sync.kills import Asked, At, WatchedSimulator, created_twice, removed

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

# A killed person's act holds its organisation until its lease has run out, and a question its turn.
LEASE_S = 1.0
ENDED_WITHIN_S = 60.0


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Mid(At):
    """Before a statement that begins so, in the middle of its transaction."""


class After(At):
    """When the transaction of a statement that begins so is committed, and nothing else is done."""


class Shared(At):
    """When the grades have been shared out."""


class Told(At):
    """When the run's end has been noted for the channels."""


@pytest.fixture
def simulator(simulator: Simulator) -> WatchedSimulator:
    watched = WatchedSimulator(simulator.world)
    watched.asked = Counter()
    return watched


@dataclass
class Drill:
    """The bench of the test, and children that work on the same database and namespace."""

    bench: Bench
    simulator: WatchedSimulator
    redis_url: str
    namespace: str

    def child(self, work: Callable[[Bench, At | None], object], at: At | None = None) -> int:
        """Do it in a process of its own; answers how that ended: 0 well, 1 to be tried again, -9 killed."""
        if at is not None:
            at.left = at.count
        may_begin, begin = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(may_begin, 1)
            os._exit(self._in_child(work, at))
        self.simulator.strike = partial(os.kill, pid, signal.SIGKILL)
        self.simulator.at = at if isinstance(at, Asked) else None
        os.write(begin, b".")
        os.close(begin)
        os.close(may_begin)
        deadline_s = time.monotonic() + ENDED_WITHIN_S
        while True:
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self.simulator.strike = None
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > deadline_s:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def until_done(self, work: Callable[[Bench, At | None], object]) -> None:
        """Again and again, as a message is sent again and a person asks again."""
        deadline_s = time.monotonic() + ENDED_WITHIN_S
        while (code := self.child(work)) != 0:
            assert code == 1
            assert time.monotonic() < deadline_s
            time.sleep(0.1)

    def _in_child(self, work: Callable[[Bench, At | None], object], at: At | None) -> int:
        try:
            # Connections are the parent's: a child has its own.
            client = redis.Redis.from_url(self.redis_url)
            http = httpx.Client(base_url=self.bench.http.base_url, timeout=30)
            engine = open_engine(str(self.bench.engine.url), busy_timeout_s=30)
            with open_bench(
                http, engine, client, self.namespace, self.bench.clock, turn_lives_s=LEASE_S
            ) as bench:
                if isinstance(at, Mid | After):
                    listen(bench.engine, at)
                fit_out(bench, client, self.namespace, at)
                work(bench, at)
        except (AccountBusy, LeaseLost):
            return 1
        except BaseException:  # noqa: BLE001  a child must not go on as the test
            traceback.print_exc()
            return 2
        return 0


def listen(engine: Engine, at: Mid | After) -> None:
    is_over = False

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal is_over
        if re.match(at.what, statement) and at.happens():
            if isinstance(at, Mid):
                kill_self()
            is_over = True

    def returned(*_: Any) -> None:
        if is_over:
            kill_self()

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "checkin", returned)


def fit_out(bench: Bench, client: redis.Redis, namespace: str, at: At | None) -> None:
    """With a short lease, notices in SQL, and grades that are shared out to nobody."""
    announcer = Announcer(
        lambda **_: None,
        bench.stores.notices,
        Grouping(bench.stores.outcomes, bench.stores.incidents, AlertsSettings(), lambda _: 0, 10),
        {"all": RouteSettings(events=("*",), channels=("slack",))},
        ["slack"],
        name_of=lambda _run: None,
        tags_of=lambda _run: (),
        clock=bench.clock,
    )

    def announce(run: Any) -> None:
        announcer.announce(run)
        if isinstance(at, Told):
            kill_self()

    def share_out(_tasks: Any) -> None:
        if isinstance(at, Shared):
            kill_self()

    gathers = RedisGathers(client, namespace, claim_s=LEASE_S)
    bench.sync_run = replace(
        bench.sync_run,
        leases=RedisLeases(client, namespace, lease_s=LEASE_S),
        announce=announce,
        fan_out=FanOut(gathers=gathers, share_out=share_out, min_grades=2, poll_s=0.05),
    )


@pytest.fixture
def drill(bench: Bench, simulator: WatchedSimulator, redis_url: str, namespace: str) -> Drill:
    return Drill(bench, simulator, redis_url, namespace)


@pytest.fixture
def association(bench: Bench) -> str:
    return bench.accounts(OrganisationKind.ASSOCIATION)[0]


def a_sync(bench: Bench, organisation_id: str, **changes: Any) -> SyncRequest:
    request = bench.request(Mode.ASSOCIATION_DIRECT, organisation_id)
    return replace(request, provider="playhq", fresh_after=datetime.now(UTC), **changes)


def drop_a_game(bench: Bench, association: str) -> str:
    """A game that the provider lists no more; so it was yesterday, and the day before it was stored."""
    bench.sync(OrganisationKind.ASSOCIATION, association)
    answer = bench.http.post(
        "/_simulator/changes", json={"kind": "remove_game", "organisation": association}
    ).json()
    (game_id,) = {change["id"] for change in answer["changes"] if change["record"] == "game"}
    bench.clock.at += timedelta(days=1)
    bench.sync(OrganisationKind.ASSOCIATION, association)
    assert removed(bench.engine) == set()
    bench.clock.at += timedelta(days=1)
    return str(game_id)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(Asked("/seasons"), id="lookup"),
        pytest.param(Mid("INSERT INTO changes"), id="seasons-half-written"),
        pytest.param(After("INSERT INTO seasons"), id="seasons-written"),
        pytest.param(Asked("/grades$", 2), id="grades-of-a-season"),
        pytest.param(Asked("/teams"), id="teams"),
        pytest.param(After("INSERT INTO teams"), id="teams-written"),
        pytest.param(Shared("grades"), id="fan-out"),
        pytest.param(Asked("/fixture|/games", 3), id="mid-grade"),
        pytest.param(Asked("/ladder", 2), id="ladder"),
        pytest.param(Mid("INSERT INTO games"), id="games-half-written"),
        pytest.param(After("INSERT INTO games", 2), id="games-written-not-noted"),
        pytest.param(Mid("INSERT INTO notices"), id="verdict-not-told"),
        pytest.param(Told("the end"), id="told-not-noted"),
    ],
)
def test_a_first_sync_that_is_killed_ends_like_an_undisturbed_one(
    drill: Drill, association: str, at: At
) -> None:
    request = a_sync(drill.bench, association)

    def sync(bench: Bench, _at: At | None) -> object:
        return bench.sync_run.perform(request)

    assert drill.child(sync, at) == -signal.SIGKILL
    assert removed(drill.bench.engine) == set()
    drill.until_done(sync)
    # And once more: a message may be delivered again after its end.
    drill.until_done(sync)

    run = drill.bench.stores.runs.find(request.run_id)
    assert run.outcome is Outcome.SUCCEEDED, run
    drill.bench.assert_true(OrganisationKind.ASSOCIATION, association)
    assert (removed(drill.bench.engine), created_twice(drill.bench.engine)) == (set(), [])
    assert [notice.event for notice in drill.bench.stores.notices.of_run(run.id)] == ["direct_succeeded"]


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(Mid("INSERT INTO absences"), id="absences"),
        pytest.param(Mid("UPDATE games"), id="removal-half-written"),
        pytest.param(After("UPDATE games"), id="removal-written"),
    ],
)
def test_a_removal_that_is_killed_removes_that_game_alone(drill: Drill, association: str, at: At) -> None:
    dropped = drop_a_game(drill.bench, association)
    request = a_sync(drill.bench, association)

    def sync(bench: Bench, _at: At | None) -> object:
        return bench.sync_run.perform(request)

    assert drill.child(sync, at) == -signal.SIGKILL
    assert removed(drill.bench.engine) <= {dropped}
    drill.until_done(sync)

    assert drill.bench.stores.runs.find(request.run_id).outcome is Outcome.SUCCEEDED
    assert removed(drill.bench.engine) == {dropped}
    drill.bench.assert_true(OrganisationKind.ASSOCIATION, association)


def test_a_helper_that_is_killed_in_its_grade_costs_the_run_nothing(
    drill: Drill, association: str, redis_client: redis.Redis
) -> None:
    ended: list[int] = []

    def share_out(tasks: Sequence[GradeTask]) -> None:
        def help_out(bench: Bench, _at: At | None) -> None:
            bench.sync_run.perform_grade(tasks[0])

        ended.append(drill.child(help_out, Mid("INSERT INTO games")))

    gathers = RedisGathers(redis_client, drill.namespace, claim_s=LEASE_S)
    fan_out = FanOut(gathers=gathers, share_out=share_out, min_grades=2, poll_s=0.05)
    request = a_sync(drill.bench, association)
    run = replace(drill.bench.sync_run, fan_out=fan_out).perform(request)

    assert ended == [-signal.SIGKILL]
    assert run.outcome is Outcome.SUCCEEDED
    drill.bench.assert_true(OrganisationKind.ASSOCIATION, association)


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(Mid("INSERT INTO changes"), id="half-written"),
        pytest.param(After("INSERT INTO changes"), id="written-without-a-verdict"),
    ],
)
def test_an_undo_that_is_killed_is_taken_up_again(drill: Drill, association: str, at: At) -> None:
    bench = drill.bench
    bench.sync(OrganisationKind.ASSOCIATION, association)
    before = bench.stores.exports.read(OrganisationKind.ASSOCIATION, association)
    for kind in ("move", "rename_team", "ground"):
        bench.change(kind, association)
    run = bench.sync(OrganisationKind.ASSOCIATION, association)

    def undo(bench: Bench, _at: At | None) -> object:
        return UndoRun(by_hand=by_hand(bench), history=bench.stores.changes).undo(run.id)

    assert drill.child(undo, at) == -signal.SIGKILL
    drill.until_done(undo)

    act = bench.stores.runs.find_act(run.id, "undo")
    assert act is not None
    assert act.state is RunState.SUCCEEDED
    assert bench.stores.exports.read(OrganisationKind.ASSOCIATION, association) == before


@pytest.mark.parametrize(
    "at",
    [
        pytest.param(After("INSERT INTO decisions"), id="decided"),
        pytest.param(Mid("INSERT INTO changes", 2), id="half-written"),
        pytest.param(After("INSERT INTO changes", 2), id="written-in-part"),
    ],
)
def test_an_approval_that_is_killed_is_taken_up_again(drill: Drill, association: str, at: At) -> None:
    request = a_sync(drill.bench, association, is_dry_run=True)
    plan_hash = drill.bench.sync_run.perform(request).plan_hash or ""

    def approve(bench: Bench, _at: At | None) -> object:
        return ApprovalRun(
            by_hand=by_hand(bench),
            plans=bench.stores.changes,
            decisions=bench.stores.decisions,
            sizes=bench.stores.sizes,
            confirmations=2,
        ).approve(request.run_id, plan_hash=plan_hash, decided_by="anna")

    assert drill.child(approve, at) == -signal.SIGKILL
    drill.until_done(approve)

    act = drill.bench.stores.runs.find_act(request.run_id, "approval")
    assert act is not None
    assert act.state is RunState.SUCCEEDED
    assert created_twice(drill.bench.engine) == []
    drill.bench.assert_true(OrganisationKind.ASSOCIATION, association)


def by_hand(bench: Bench) -> ByHandRun:
    return ByHandRun(
        cms=bench.sync_run.cms, runs=bench.stores.runs, leases=bench.sync_run.leases, clock=bench.clock
    )


def test_a_deploy_in_the_middle_repeats_no_request(drill: Drill, association: str) -> None:
    """SIGTERM lets a run stop at its next unit; the next worker goes on from there."""
    request = a_sync(drill.bench, association)
    simulator, stop = drill.simulator, FakeStopSignal()
    simulator.when_asked = lambda count: setattr(stop, "is_stopping", count >= 12)
    sync_run = replace(drill.bench.sync_run, stop=stop)
    with pytest.raises(Stopping):
        sync_run.perform(request)
    asked_at_stop = simulator.asked.total()
    simulator.when_asked, stop.is_stopping = None, False
    run = sync_run.perform(request)

    assert run.outcome is Outcome.SUCCEEDED
    assert 12 <= asked_at_stop < simulator.asked.total()
    assert [target for target, count in simulator.asked.items() if count > 1] == []
    drill.bench.assert_true(OrganisationKind.ASSOCIATION, association)
