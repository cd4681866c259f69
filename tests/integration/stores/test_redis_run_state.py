"""Checkpoints, progress and the registry against a real Redis."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from stores.redis.checkpoints import Checkpoints
from stores.redis.progress import Progress
from stores.redis.registry import Heartbeat, Registry, Service
from sync.errors import StoreUnavailable
from sync.ports import Progressed
from sync.report import Stage
from tests.conftest import Eventually

NOW = datetime(2031, 10, 18, tzinfo=UTC)


class FixedClock:
    def now(self) -> datetime:
        return NOW


def service(service_id: str, role: str = "worker", started_at: datetime = NOW) -> Service:
    return Service(
        id=service_id, role=role, host="here", pid=7, version="1", started_at=started_at, load={"busy": 3}
    )


def progressed(done: int, stage: Stage = Stage.GAMES) -> Progressed:
    return Progressed(run_id="r1", stage=stage, done=done, total=9, records=done * 41)


@pytest.fixture
def broken_client() -> redis.Redis:
    """A client of a Redis that does not exist."""
    return redis.Redis(port=1, retry=Retry(NoBackoff(), 0))


def test_checkpoint_remembers_finished_units_with_their_results(
    redis_client: redis.Redis, namespace: str
) -> None:
    checkpoints = Checkpoints(redis_client, namespace)
    checkpoints.mark_done("r1", "games:g1", {"read": 41})

    assert checkpoints.is_done("r1", "games:g1")
    assert not checkpoints.is_done("r1", "games:g2")
    assert not checkpoints.is_done("r2", "games:g1")
    assert checkpoints.done("r1") == {"games:g1": {"read": 41}}


def test_forgotten_run_starts_clean(redis_client: redis.Redis, namespace: str) -> None:
    checkpoints = Checkpoints(redis_client, namespace)
    checkpoints.mark_done("r1", "games:g1", {})
    checkpoints.forget("r1")

    assert checkpoints.done("r1") == {}


def test_checkpoints_do_not_stay_for_ever(redis_client: redis.Redis, namespace: str) -> None:
    Checkpoints(redis_client, namespace).mark_done("r1", "games:g1", {})

    assert 0 < redis_client.ttl(f"{{{namespace}}}:checkpoints:r1") <= timedelta(days=7).total_seconds()


def test_checkpoints_say_so_when_redis_is_down(broken_client: redis.Redis) -> None:
    with pytest.raises(StoreUnavailable):
        Checkpoints(broken_client, "none").is_done("r1", "games:g1")


def test_progress_shows_the_latest_of_each_stage(redis_client: redis.Redis, namespace: str) -> None:
    progress = Progress(redis_client, namespace)
    for event in (progressed(1, Stage.TEAMS), progressed(1), progressed(2)):
        progress.publish(event)

    assert progress.read("r1") == {Stage.TEAMS: progressed(1, Stage.TEAMS), Stage.GAMES: progressed(2)}


def test_progress_that_nobody_can_watch_fails_nothing(broken_client: redis.Redis) -> None:
    Progress(broken_client, "none").publish(progressed(1))


def test_registry_lists_processes_by_role(redis_client: redis.Redis, namespace: str) -> None:
    registry = Registry(redis_client, namespace, FixedClock())
    for entry in (
        service("w2", started_at=NOW + timedelta(seconds=1)),
        service("w1"),
        service("s", "scheduler"),
    ):
        registry.beat(entry)

    listed = registry.list()

    assert [entry.id for entry in listed] == ["s", "w1", "w2"]
    assert listed[1].load == {"busy": 3}
    assert listed[1].seen_at == NOW


def test_process_that_no_longer_beats_leaves_the_list(redis_client: redis.Redis, namespace: str) -> None:
    registry = Registry(redis_client, namespace, FixedClock())
    registry.beat(service("w1"))
    registry.beat(service("w2"))
    redis_client.delete(f"{{{namespace}}}:services:w1")  # as its expiry does

    assert [entry.id for entry in registry.list()] == ["w2"]
    assert redis_client.zcard(f"{{{namespace}}}:services") == 1


def test_entry_of_a_process_expires(redis_client: redis.Redis, namespace: str) -> None:
    Registry(redis_client, namespace, FixedClock()).beat(service("w1"))

    assert 0 < redis_client.pttl(f"{{{namespace}}}:services:w1") <= 10_000


def test_heartbeat_registers_follows_changes_and_leaves(
    redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    registry = Registry(redis_client, namespace, FixedClock())
    states = iter(["starting", "running"])
    describe: Callable[[], Service] = lambda: Service(  # noqa: E731 - the next state at each beat
        id="w1", role="worker", host="h", pid=1, version="1", started_at=NOW, state=next(states, "running")
    )
    heartbeat = Heartbeat(registry, describe, every_s=0.01)
    heartbeat.start()
    eventually(lambda: [entry.state for entry in registry.list()] == ["running"])
    heartbeat.stop()

    assert registry.list() == []


def test_heartbeat_survives_a_redis_that_is_down(broken_client: redis.Redis) -> None:
    heartbeat = Heartbeat(Registry(broken_client, "none", FixedClock()), lambda: service("w1"), every_s=0.01)
    heartbeat.start()
    heartbeat.stop()
