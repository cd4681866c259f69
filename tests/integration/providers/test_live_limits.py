"""A quota that is changed while runs are at work holds for them too."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from providers.fetcher import Fetcher
from sync.errors import RateLimited
from tests.integration.providers.conftest import OpenFetcher
from tests.provider_server import ProviderServer, Reply, Seen

PATH = "/v1/things"
GOOD = Reply({"a": 1})
# So slow that the second request would wait longer than one may.
A_TRICKLE = {"requests_per_s": 0.01}


def fetch(fetcher: Fetcher) -> Any:
    return fetcher.fetch(PATH, dict, operation="fetch things")


def test_a_run_at_work_slows_down_with_the_quota(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD)
    at_work = open_fetcher()
    fetch(at_work)
    open_fetcher(**A_TRICKLE)
    with pytest.raises(RateLimited):
        fetch(at_work)


def test_a_run_at_work_is_not_left_behind_when_the_quota_is_raised(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    server.script(PATH, GOOD)
    at_work = open_fetcher(**A_TRICKLE)
    fetch(at_work)
    open_fetcher(requests_per_s=1000.0)
    assert fetch(at_work) == {"a": 1}


def test_limits_that_are_changed_back_hold_again(server: ProviderServer, open_fetcher: OpenFetcher) -> None:
    server.script(PATH, GOOD)
    before = open_fetcher()
    open_fetcher(**A_TRICKLE)
    open_fetcher()
    for _ in range(3):
        assert fetch(before) == {"a": 1}


def test_a_run_at_work_uses_the_places_that_were_added(
    server: ProviderServer, open_fetcher: OpenFetcher
) -> None:
    both_are_there = threading.Barrier(2)

    def answer_both(_: Seen) -> Reply:
        both_are_there.wait(30)
        return GOOD

    server.script(PATH, answer_both)
    at_work = open_fetcher(concurrency=1)
    open_fetcher(concurrency=3)
    other = f"{PATH}?page=2"
    server.script(other, answer_both)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(fetch, at_work)
        second = pool.submit(at_work.fetch, other, dict, operation="fetch more things")
        assert (first.result(), second.result()) == ({"a": 1}, {"a": 1})
