"""Providers as plugins: found by entry point, isolated when broken."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import EntryPoint

import pytest

from providers.outbound import Outbound
from providers.registry import GROUP, InstalledSources, load_plugins
from settings.schema import Settings
from sync.errors import InvalidRequest
from tests.fakes import FakeSource
from tests.outbound import MemoryAnswers, MemoryBreakers, MemoryLedger, MemoryLedgers

NOW = datetime(2031, 10, 20, tzinfo=UTC)


class NotedLedgers(MemoryLedgers):
    """Notes which rates were named."""

    def __init__(self) -> None:
        super().__init__()
        self.named: list[float] = []

    def ledger(self, name: str, *, requests_per_s: float, concurrency: int) -> MemoryLedger:
        self.named.append(requests_per_s)
        return super().ledger(name, requests_per_s=requests_per_s, concurrency=concurrency)


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name=name, value=value, group=GROUP)


def sources(*points: EntryPoint, settings: Settings | None = None) -> InstalledSources:
    outbound = Outbound(ledgers=MemoryLedgers(), answers=MemoryAnswers(), breakers=MemoryBreakers())
    return InstalledSources(load_plugins(points), outbound, settings or Settings())


def test_built_in_providers_are_installed_like_any_other() -> None:
    assert "playhq" in load_plugins().openers


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nowhere.to_be_found:open_source", "cannot be imported"),
        ("providers.registry:no_such_name", "cannot be imported"),
        ("providers.registry:GROUP", "is not a function"),
    ],
)
def test_broken_plugin_is_reported_and_harms_no_other(value: str, reason: str) -> None:
    plugins = load_plugins([point("broken", value), point("playhq", "providers.playhq.plugin:open_source")])
    assert list(plugins.openers) == ["playhq"]
    assert reason in plugins.broken["broken"]


def test_unknown_provider_is_an_invalid_request_that_names_the_known_ones() -> None:
    with pytest.raises(InvalidRequest, match=r"golf is not installed; installed are: playhq"):
        sources(point("playhq", "providers.playhq.plugin:open_source")).open(
            "golf", run_id="run-1", fresh_after=NOW, is_urgent=False
        )


def test_broken_provider_says_why_it_does_not_work() -> None:
    with pytest.raises(InvalidRequest, match="nowhere"):
        sources(point("golf", "nowhere:open")).open("golf", run_id="run-1", fresh_after=NOW, is_urgent=False)


def test_playhq_without_address_and_key_is_an_invalid_request() -> None:
    with pytest.raises(InvalidRequest, match="CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY"):
        sources(point("playhq", "providers.playhq.plugin:open_source")).open(
            "playhq", run_id="run-1", fresh_after=NOW, is_urgent=False
        )


def open_stranger(
    settings: Settings, outbound: Outbound, *, fresh_after: datetime, is_urgent: bool
) -> FakeSource:
    """What a package of somebody else registers."""
    raise InvalidRequest(f"opened at {fresh_after:%Y}, urgent: {is_urgent}")


def test_strangers_provider_is_opened_with_what_the_run_asks_for() -> None:
    with pytest.raises(InvalidRequest, match="opened at 2031, urgent: True"):
        sources(point("stranger", f"{__name__}:open_stranger")).open(
            "stranger", run_id="run-1", fresh_after=NOW, is_urgent=True
        )


def playhq_at(requests_per_s: float) -> Settings:
    playhq = {"base_url": "http://127.0.0.1:9", "requests_per_s": requests_per_s}
    return Settings.model_validate({"providers": {"playhq": playhq}})


def test_new_settings_change_the_limits_of_runs_at_work_without_a_further_run() -> None:
    ledgers = NotedLedgers()
    outbound = Outbound(ledgers=ledgers, answers=MemoryAnswers(), breakers=MemoryBreakers())
    unused, used = (InstalledSources(load_plugins(), outbound, playhq_at(50.0)) for _ in range(2))
    used.open("playhq", run_id="run-1", fresh_after=NOW, is_urgent=False)
    ledgers.named.clear()
    InstalledSources(load_plugins(), outbound, playhq_at(15.0)).succeed(unused)
    assert not ledgers.named
    later = InstalledSources(load_plugins(), outbound, playhq_at(15.0))
    later.succeed(used)
    InstalledSources(load_plugins(), outbound, playhq_at(20.0)).succeed(later)
    assert ledgers.named == [15.0, 20.0]


def test_a_provider_that_is_not_configured_any_more_holds_no_settings_up() -> None:
    outbound = Outbound(ledgers=MemoryLedgers(), answers=MemoryAnswers(), breakers=MemoryBreakers())
    used = InstalledSources(load_plugins(), outbound, playhq_at(50.0))
    used.open("playhq", run_id="run-1", fresh_after=NOW, is_urgent=False)
    InstalledSources(load_plugins(), outbound, Settings()).succeed(used)
