"""Whose connections live how long, while settings replace each other."""

from __future__ import annotations

import gc
from datetime import UTC, datetime

import httpx

from actors.process.run_parts import SuccessiveSources
from providers.fetcher import Fetcher
from providers.outbound import Outbound
from providers.registry import load_plugins
from providers.upstream import Upstream
from settings.schema import HttpSettings, Settings
from tests.outbound import MemoryAnswers, MemoryBreakers, MemoryLedgers

NOW = datetime(2026, 3, 7, tzinfo=UTC)
UPSTREAM = Upstream(
    provider="playhq", base_url="http://127.0.0.1:9", credential="k", requests_per_s=9, concurrency=2
)


def new_outbound() -> Outbound:
    return Outbound(ledgers=MemoryLedgers(), answers=MemoryAnswers(), breakers=MemoryBreakers())


def run_under(outbound: Outbound, *, read_timeout_s: float = 20.0) -> Fetcher:
    settings = HttpSettings(read_timeout_s=read_timeout_s)
    return outbound.open(UPSTREAM, settings, fresh_after=NOW, is_urgent=False)


def connections_of(run: Fetcher) -> httpx.Client:
    return run._door.http


def test_connections_of_replaced_settings_close_with_the_last_run_that_uses_them() -> None:
    former = new_outbound().successor()
    run = run_under(former)
    connections = connections_of(run)
    now = former.successor()
    other = connections_of(run_under(now, read_timeout_s=7.0))
    del former
    gc.collect()
    assert not connections.is_closed
    del run
    gc.collect()
    assert (connections.is_closed, other.is_closed) == (True, False)


def test_connections_that_the_new_settings_use_as_well_stay_open() -> None:
    former = new_outbound().successor()
    now = former.successor()
    connections = connections_of(run_under(former))
    assert connections_of(run_under(now)) is connections
    del former
    gc.collect()
    assert not connections.is_closed
    assert connections_of(run_under(now)) is connections


def test_a_worker_keeps_only_the_connections_of_its_settings() -> None:
    def settings(key: str) -> Settings:
        playhq = {"base_url": "http://127.0.0.1:9", "api_key": key}
        return Settings.model_validate({"providers": {"playhq": playhq}})

    outbound = new_outbound()
    successive = SuccessiveSources(load_plugins(), outbound)
    for key in ("one", "two", "two", "three"):
        successive.open(settings(key)).open("playhq", run_id="r", fresh_after=NOW, is_urgent=False)
    gc.collect()
    assert [upstream.credential for upstream, _ in outbound._alive] == ["three"]
