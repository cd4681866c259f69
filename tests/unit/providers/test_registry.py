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
from tests.outbound import MemoryAnswers, MemoryBreakers, MemoryLedgers

NOW = datetime(2031, 10, 20, tzinfo=UTC)


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
