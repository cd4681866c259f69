"""Gathers: what the fake and Redis both promise."""

from __future__ import annotations

import threading

import pytest
import redis

from stores.redis.gathers import RedisGathers
from sync.grades.ports import Gathers
from tests.conftest import Eventually
from tests.fakes import FakeGathers

RUN = "run-1"
UNITS = ["games:1", "games:2", "games:3"]


@pytest.fixture(params=["fake", "redis"])
def gathers(request: pytest.FixtureRequest) -> Gathers:
    if request.param == "fake":
        return FakeGathers()
    client: redis.Redis = request.getfixturevalue("redis_client")
    return RedisGathers(client, request.getfixturevalue("namespace"), claim_s=30)


def test_a_unit_is_claimed_once(gathers: Gathers) -> None:
    gathers.open(RUN, UNITS, token=1)
    assert [gathers.claim(RUN, "games:1", token=1) for _ in range(2)] == [True, False]
    assert gathers.claim(RUN, "games:2", token=1)


def test_nothing_is_claimed_that_was_not_opened(gathers: Gathers) -> None:
    gathers.open(RUN, UNITS, token=1)
    assert not gathers.claim(RUN, "games:9", token=1)
    assert not gathers.claim("run-2", "games:1", token=1)


def test_a_unit_that_is_not_done_may_be_claimed_again(gathers: Gathers) -> None:
    gathers.open(RUN, UNITS, token=1)
    gathers.claim(RUN, "games:1", token=1)
    gathers.settle(RUN, "games:1", is_done=False)
    assert gathers.claim(RUN, "games:1", token=1)


def test_a_done_unit_is_left_out_and_never_claimed_again(gathers: Gathers) -> None:
    gathers.open(RUN, UNITS, token=1)
    gathers.claim(RUN, "games:1", token=1)
    gathers.settle(RUN, "games:1", is_done=True)
    assert not gathers.claim(RUN, "games:1", token=1)
    assert gathers.wait(RUN, timeout_s=0.01) == {"games:2", "games:3"}


def test_helpers_of_an_earlier_attempt_claim_nothing_more(gathers: Gathers) -> None:
    gathers.open(RUN, UNITS, token=1)
    gathers.claim(RUN, "games:1", token=1)
    gathers.open(RUN, UNITS, token=2)
    assert not gathers.claim(RUN, "games:2", token=1)
    assert gathers.claim(RUN, "games:1", token=2)


def test_a_closed_run_has_nothing_to_claim(gathers: Gathers) -> None:
    gathers.open(RUN, UNITS, token=1)
    gathers.close(RUN)
    assert not gathers.claim(RUN, "games:1", token=1)
    gathers.settle(RUN, "games:1", is_done=False)
    assert gathers.wait(RUN, timeout_s=0.01) == set()


def test_a_dead_workers_claim_lapses(
    redis_client: redis.Redis, namespace: str, eventually: Eventually
) -> None:
    gathers = RedisGathers(redis_client, namespace, claim_s=0.02)
    gathers.open(RUN, UNITS, token=1)
    assert gathers.claim(RUN, "games:1", token=1)
    eventually(lambda: gathers.claim(RUN, "games:1", token=1))


@pytest.mark.parametrize("is_done", [True, False])
def test_the_last_unit_wakes_the_run_that_waits(
    redis_client: redis.Redis, namespace: str, *, is_done: bool
) -> None:
    gathers = RedisGathers(redis_client, namespace, claim_s=30)
    gathers.open(RUN, UNITS[:1], token=1)
    gathers.claim(RUN, "games:1", token=1)
    left: list[object] = []
    waiter = threading.Thread(target=lambda: left.append(gathers.wait(RUN, timeout_s=20)))
    waiter.start()
    gathers.settle(RUN, "games:1", is_done=is_done)
    waiter.join(30)
    assert left == [set() if is_done else {"games:1"}]
