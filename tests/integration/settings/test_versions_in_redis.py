from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import redis

from settings.loader import load
from settings.reload import Acknowledgement
from settings.versions import Version, VersionConflict
from stores.redis.versions import (
    ACKNOWLEDGEMENT_LIFETIME,
    RedisVersions,
    open_history,
)
from sync.errors import NotFound

AT = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def versions(redis_client: redis.Redis, namespace: str) -> RedisVersions:
    return RedisVersions(redis_client, namespace)


def version(number: int) -> Version:
    return Version(
        number=number,
        fingerprint=f"f{number}",
        author="ann",
        at=AT,
        reason="why",
        overrides={"http.proxies": ["a"], "sync.removal_max_share": 0.5, "cms.strapi.base_url": None},
        values={"logging.level": "info"},
        instead_of=number - 1,
    )


def test_versions_come_back_as_they_were_kept_newest_first(versions: RedisVersions) -> None:
    assert versions.in_force() is None
    assert versions.history(5) == []
    for number in (1, 2, 3):
        versions.add(version(number))
    assert versions.in_force() == version(3)
    assert versions.find(1) == version(1)
    assert [one.number for one in versions.history(2)] == [3, 2]
    with pytest.raises(NotFound):
        versions.find(4)


def test_a_number_is_given_once_and_none_is_left_out(versions: RedisVersions) -> None:
    versions.add(version(1))
    for number in (1, 3):
        with pytest.raises(VersionConflict):
            versions.add(version(number))


def test_processes_that_start_together_agree_on_one_version(versions: RedisVersions) -> None:
    def start(name: int) -> int:
        history = open_history(versions, lambda: AT)
        return history.enrol(load(), {}, author=str(name), reason="started").number

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(start, range(8))) == {1}


def test_what_processes_say_counts_while_they_live(versions: RedisVersions) -> None:
    old = AT - ACKNOWLEDGEMENT_LIFETIME - timedelta(seconds=1)
    for process, at in (("web", AT), ("gone", old), ("restarted", AT), ("worker", AT)):
        said = Acknowledgement(process=process, version=1, is_accepted=True, at=at, restart_for=("web.port",))
        versions.acknowledge(said)
    found = versions.acknowledgements(AT, living={"web", "worker"})
    assert [said.process for said in found] == ["web", "worker"]
    assert found[0].restart_for == ("web.port",)
    everybody = versions.acknowledgements(AT, living={"web", "worker", "restarted", "gone"})
    assert [said.process for said in everybody] == ["restarted", "web", "worker"]
