"""What the stages will ask is asked ahead of them, once, and never decides anything."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from cms.embedded.adapter import EmbeddedCms
from sync.changes import Change
from sync.model import Organisation, OrganisationKind
from sync.ports import Fence, Quarantined
from sync.report import Mode, Outcome, Stage
from tests.integration.sync.conftest import Bench

PATIENCE_S = 30.0


def requests_by_endpoint(bench: Bench) -> dict[str, int]:
    counts: dict[str, int] = bench.http.get("/_simulator/stats").json()["by_endpoint"]
    return counts


def fixtures_asked(bench: Bench) -> int:
    return requests_by_endpoint(bench).get("fixture", 0)


def know_associations(bench: Bench, kind: OrganisationKind, organisation_id: str) -> None:
    """As an earlier run of a club would have learned them."""
    accounts = bench.http.get("/_simulator/accounts").json()
    found = next(account for account in accounts if account["organisation"] == organisation_id)
    bench.stores.organisations.save(
        Organisation(
            id=organisation_id, kind=kind, provider="playhq", association_ids=tuple(found["associations"])
        )
    )


class SlowCms(EmbeddedCms):
    """Stores nothing until a fixture was asked for."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.stores)
        self.bench = bench
        self.fixtures_at_first_write: int | None = None

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        if self.fixtures_at_first_write is None:
            ends_at_s = time.monotonic() + PATIENCE_S
            while not fixtures_asked(self.bench) and time.monotonic() < ends_at_s:
                time.sleep(0.01)
            self.fixtures_at_first_write = fixtures_asked(self.bench)
        return super().apply(run_id, stage, changes, fence=fence)


@pytest.mark.parametrize("kind", list(OrganisationKind))
def test_fixtures_are_asked_for_before_a_season_is_stored(bench: Bench, kind: OrganisationKind) -> None:
    organisation_id = bench.accounts(kind)[0]
    know_associations(bench, kind, organisation_id)
    cms = SlowCms(bench)
    bench.http.delete("/_simulator/stats")
    bench.sync_run = replace(bench.sync_run, cms=cms)
    assert bench.sync(kind, organisation_id).outcome is Outcome.SUCCEEDED
    assert cms.fixtures_at_first_write
    bench.assert_true(kind, organisation_id)


@pytest.mark.parametrize("kind", list(OrganisationKind))
def test_nothing_more_is_asked_and_all_of_it_is_counted(bench: Bench, kind: OrganisationKind) -> None:
    asked: list[dict[str, Any]] = []
    for asked_ahead in (0, 4):
        bench.sync_run = replace(bench.sync_run, asked_ahead=asked_ahead)
        bench.http.delete("/_simulator/stats")
        run = bench.sync(kind, bench.accounts(kind)[1])
        asked.append(requests_by_endpoint(bench))
        assert run.requests.sent == sum(asked[-1].values())
    assert asked[0] == asked[1]


def answered(bench: Bench) -> list[dict[str, Any]]:
    """The provider's answers in order of their end."""
    log: list[dict[str, Any]] = bench.http.get("/_simulator/log").json()
    return [entry for entry in log if entry["endpoint"] != "simulator"]


@pytest.mark.parametrize("kind", list(OrganisationKind))
def test_what_was_there_last_time_is_asked_about_before_the_listings_answer(
    bench: Bench, kind: OrganisationKind
) -> None:
    organisation_id = bench.accounts(kind)[0]
    know_associations(bench, kind, organisation_id)
    bench.sync(kind, organisation_id)
    bench.http.post(
        "/_simulator/faults", json={"kind": "latency", "path": "*/seasons", "latency_s": 2.0}
    ).raise_for_status()
    bench.http.delete("/_simulator/stats")
    run = bench.sync(kind, organisation_id)
    assert run.outcome is Outcome.SUCCEEDED
    endpoints = [entry["endpoint"] for entry in answered(bench)]
    assert endpoints.index("fixture") < endpoints.index("seasons")
    assert run.requests.sent == len(endpoints)


def test_a_grade_that_is_gone_is_not_asked_about_for_ever(bench: Bench) -> None:
    association = bench.accounts(OrganisationKind.ASSOCIATION)[0]
    bench.sync(OrganisationKind.ASSOCIATION, association)
    before = set(bench.stores.mirror.read_grades(season_ids(bench, association)))
    bench.change("hide_grade", association)
    gone: set[str] = set()
    for _ in range(2):
        bench.http.delete("/_simulator/stats")
        bench.sync(OrganisationKind.ASSOCIATION, association)
        asked = {grade for grade in before for entry in answered(bench) if grade in entry["target"]}
        gone = before - asked
    assert len(gone) == 1


def season_ids(bench: Bench, association: str) -> list[str]:
    return list(bench.stores.mirror.read_seasons([association]))


def test_trouble_ahead_is_left_to_the_stages(bench: Bench) -> None:
    association = bench.accounts(OrganisationKind.ASSOCIATION)[0]
    bench.http.post(
        "/_simulator/faults", json={"kind": "error", "status": 503, "count": 3}
    ).raise_for_status()
    run = bench.sync(OrganisationKind.ASSOCIATION, association)
    assert run.outcome is Outcome.SUCCEEDED
    bench.assert_true(OrganisationKind.ASSOCIATION, association)


def test_a_preset_without_games_asks_for_none(bench: Bench) -> None:
    association = bench.accounts(OrganisationKind.ASSOCIATION)[0]
    request = bench.request(Mode.ASSOCIATION_DIRECT, association)
    bench.sync_run.perform(replace(request, preset="minimal"))
    assert not fixtures_asked(bench)
    assert requests_by_endpoint(bench)
