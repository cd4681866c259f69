"""`clubsync runs replay`: a recorded run, gone through again without its provider."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Engine

from cli.backend import Backend
from cli.runs import runs
from providers.outbound import Outbound
from providers.registry import InstalledSources, load_plugins
from providers.replaying import replay
from settings.schema import Settings
from stores.sql.stores import SqlStores, open_stores
from sync.clock import SystemClock
from sync.ports import Fence
from sync.report import Mode, Run, RunState, Stage
from tests.contract.providers.benches import PlayHQBench
from tests.fakes import FakeClock
from tests.outbound import MemoryAnswers, MemoryBreakers, MemoryLedgers
from tests.provider_server import ProviderServer
from tests.unit.providers.playhq import builders as playhq

RUN_ID = "night-1"


@pytest.fixture
def stores(sqlite_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SqlStores:
    """A database that knows of one run, of an association, and of nothing that it wrote."""
    monkeypatch.setenv("DATABASE_URL", str(sqlite_engine.url))
    monkeypatch.setenv("CLUBSYNC_HOME", str(tmp_path))
    stores = open_stores(sqlite_engine, SystemClock())
    now = datetime(2031, 10, 20, tzinfo=UTC)
    stores.runs.save(
        Run(
            id=RUN_ID,
            mode=Mode.ASSOCIATION_DIRECT,
            preset="full",
            state=RunState.FAILED,
            requested_at=now,
            started_at=now,
            organisation_id=playhq.ASSOCIATION_ID,
            provider="playhq",
        )
    )
    return stores


@pytest.fixture
def recorded(tmp_path: Path) -> None:
    """The answers that a worker gave the run, kept by it."""
    bench = PlayHQBench()
    with ProviderServer().running() as server:
        bench.serve(server)
        settings = Settings.model_validate(
            {
                "home": tmp_path,
                "http": {"records_runs": True},
                "providers": {"playhq": {"base_url": server.url, "requests_per_s": 1000}},
            }
        )
        outbound = Outbound(ledgers=MemoryLedgers(), answers=MemoryAnswers(), breakers=MemoryBreakers())
        sources = InstalledSources(load_plugins(), outbound, settings)
        source = sources.open("playhq", run_id=RUN_ID, fresh_after=datetime.now(UTC), is_urgent=False)
        for question in bench.questions.values():
            question.call(source)
        outbound.close()


@pytest.mark.usefixtures("recorded")
def test_replay_shows_what_the_run_would_write_and_writes_nothing(stores: SqlStores) -> None:
    result = CliRunner().invoke(runs, ["replay", RUN_ID, "--json"], catch_exceptions=False)
    document = json.loads(result.stdout)
    assert document["state"] == "succeeded"
    assert document["requests"]["sent"] == 0
    kinds = [change["kind"] for change in document["changes"]]
    assert {"season", "grade", "team", "game", "ladder"} <= set(kinds)
    assert stores.runs.find(RUN_ID).state is RunState.FAILED
    assert not stores.mirror.read_seasons([playhq.ASSOCIATION_ID])


@pytest.mark.usefixtures("recorded", "stores")
def test_replay_is_told_to_people_as_a_diff() -> None:
    result = CliRunner().invoke(runs, ["replay", RUN_ID], catch_exceptions=False)
    assert result.exit_code == 0
    assert f"+ game {playhq.GAME_ID} created" in result.stdout


@pytest.mark.usefixtures("recorded")
def test_replay_sees_what_was_stored_then_and_says_whether_the_plan_is_the_same(stores: SqlStores) -> None:
    planned = json.loads(CliRunner().invoke(runs, ["replay", RUN_ID, "--json"]).stdout)
    assert not planned["is_same"]
    assert planned["only_recorded"] == []
    assert len(planned["only_replayed"]) == len(planned["changes"])

    recorded = stores.runs.find(RUN_ID)
    backend = Backend()
    plan = replay(recorded, settings=backend.settings, cms=backend.cms, past=stores.changes).changes
    assert recorded.started_at is not None
    clock = FakeClock(recorded.started_at + timedelta(seconds=1))
    then = open_stores(stores.engine, clock).mirror
    for change in plan:
        assert then.apply(RUN_ID, Stage.GAMES, [change], fence=Fence("playhq:any", 1)) == []
    again = json.loads(CliRunner().invoke(runs, ["replay", RUN_ID, "--json"]).stdout)
    assert (again["is_same"], again["recorded_hash"]) == (True, planned["replayed_hash"])
    told = CliRunner().invoke(runs, ["replay", RUN_ID]).stdout
    assert "the plan came out the same" in told


@pytest.mark.usefixtures("stores")
def test_run_without_a_recording_says_how_to_get_one() -> None:
    result = CliRunner().invoke(runs, ["replay", RUN_ID])
    assert result.exit_code != 0
    assert "http.records_runs" in str(result.exception)
