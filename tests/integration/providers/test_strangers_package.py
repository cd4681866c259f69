"""A package of somebody else, installed beside ours, adds a provider by its entry point alone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from providers.outbound import Outbound
from providers.registry import InstalledSources, load_plugins
from settings.schema import Settings
from sync.model import Organisation, OrganisationKind

PACKAGES = Path(__file__).parents[2] / "packages"
ORGANISATION = Organisation(id="a", kind=OrganisationKind.ASSOCIATION, provider="golf")


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PACKAGES))


def test_its_provider_is_found_opened_and_asked_like_ours(outbound: Outbound) -> None:
    plugins = load_plugins()
    assert {"golf", "playhq", "playcricket"} <= set(plugins.openers)
    sources = InstalledSources(plugins, outbound, Settings())
    source = sources.open("golf", run_id="run-1", fresh_after=datetime.now(UTC), is_urgent=False)
    (season,) = source.fetch_seasons(ORGANISATION).records
    (grade,) = source.fetch_grades(season).records
    assert (season.name, grade.name) == ("Spring", "Pennant")


def test_its_broken_provider_is_reported_by_name() -> None:
    assert "golf_provider.not_there" in load_plugins().broken["sunk"]


def test_one_that_ends_the_program_that_imports_it_is_only_left_out() -> None:
    assert "SystemExit: 3" in load_plugins().broken["quits"]
