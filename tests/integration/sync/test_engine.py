"""The whole engine against a provider that says what a sync has to store."""

from __future__ import annotations

import pytest

from sync.errors import DeferredError, PermanentError, TransientError
from sync.model import OrganisationKind
from sync.report import Mode, Outcome, Run, Stage
from tests.integration.sync.conftest import Bench

WRITING = (Stage.COMPETITIONS, Stage.TEAMS, Stage.GAMES, Stage.FIXTURE_CLEANUP)


def written(run: Run) -> int:
    return sum(
        report.created + report.updated + report.removed
        for stage, report in run.stages.items()
        if stage in WRITING
    )


@pytest.mark.parametrize("number", range(4))
@pytest.mark.parametrize("kind", list(OrganisationKind))
def test_a_sync_stores_what_the_provider_publishes_and_then_nothing_more(
    bench: Bench, kind: OrganisationKind, number: int
) -> None:
    organisation_id = bench.accounts(kind)[number]
    first = bench.sync(kind, organisation_id)
    assert first.outcome is Outcome.SUCCEEDED, first
    bench.assert_true(kind, organisation_id)
    second = bench.sync(kind, organisation_id)
    assert written(second) == 0, second.stages
    assert second.stages[Stage.GAMES].unchanged == second.stages[Stage.GAMES].read


def test_shared_out_grades_give_the_same_data_and_cost(shared_bench: Bench) -> None:
    association = shared_bench.accounts(OrganisationKind.ASSOCIATION)[0]
    before = shared_bench.http.get("/_simulator/stats").json()
    run = shared_bench.sync(OrganisationKind.ASSOCIATION, association)
    after = shared_bench.http.get("/_simulator/stats").json()
    assert run.outcome is Outcome.SUCCEEDED
    shared_bench.assert_true(OrganisationKind.ASSOCIATION, association)
    assert run.requests.sent == after["requests"] - before["requests"]


@pytest.mark.parametrize("change", ["result", "move", "regrade", "cancel", "add_game", "rename_team"])
def test_one_change_at_the_provider_writes_what_it_changed(bench: Bench, change: str) -> None:
    association = bench.accounts(OrganisationKind.ASSOCIATION)[0]
    bench.sync(OrganisationKind.ASSOCIATION, association)
    bench.http.post(
        "/_simulator/changes", json={"kind": change, "organisation": association}
    ).raise_for_status()
    run = bench.sync(OrganisationKind.ASSOCIATION, association)
    assert run.outcome is Outcome.SUCCEEDED
    assert 1 <= written(run) <= 8
    bench.assert_true(OrganisationKind.ASSOCIATION, association)


@pytest.mark.parametrize("seed", range(4))
def test_random_faults_end_in_the_providers_data(bench: Bench, seed: int) -> None:
    association = bench.accounts(OrganisationKind.ASSOCIATION)[0]
    kinds = ["error", "reset", "cut", "bad_json", "html", "empty", "missing"]
    schedule = {"kind": "random", "seed": seed, "probability": 0.2, "kinds": kinds}
    bench.http.post("/_simulator/faults", json=schedule).raise_for_status()
    request = bench.request(Mode.ASSOCIATION_DIRECT, association)
    for _ in range(30):
        try:
            bench.sync_run.perform(request)
            break
        except (TransientError, DeferredError):
            continue
        except PermanentError:
            break
    bench.http.delete("/_simulator/faults")
    run = bench.sync(OrganisationKind.ASSOCIATION, association)
    assert run.outcome is Outcome.SUCCEEDED
    bench.assert_true(OrganisationKind.ASSOCIATION, association)
