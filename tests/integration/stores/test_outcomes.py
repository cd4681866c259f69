"""Runs that still need somebody: failed and not made good, or held back and undecided."""

from __future__ import annotations

from datetime import timedelta

import pytest

from stores.sql.stores import SqlStores
from sync.by_hand.approval import Decision, DecisionVerdict
from sync.report import RunState
from tests.integration.web.runs import AT, a_run

FAILED = a_run("failed", state=RunState.FAILED)
HELD = a_run("held", state=RunState.PARTIAL, plan_hash="h")
LATER = AT + timedelta(minutes=5)


def unmended(stores: SqlStores) -> list[str]:
    found = stores.outcomes.not_made_good(RunState.FAILED, since=AT - timedelta(hours=1), limit=10)
    return [run.id for run in found]


def held(stores: SqlStores) -> list[str]:
    return [run.id for run in stores.outcomes.held(since=AT - timedelta(days=1), limit=10)]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"account_id": 2}, ["failed"]),
        ({"state": RunState.PARTIAL}, ["failed"]),
        ({"dry_run": True}, ["failed"]),
        ({"finished_at": AT - timedelta(minutes=1)}, ["failed"]),
    ],
)
def test_a_failure_counts_until_the_same_account_succeeds(
    stores: SqlStores, changes: dict[str, object], expected: list[str]
) -> None:
    stores.runs.save(FAILED)
    stores.runs.save(a_run("next", **{"requested_at": LATER, "finished_at": LATER, **changes}))
    assert unmended(stores) == expected


@pytest.mark.parametrize(("organisation_id", "expected"), [("o1", []), ("o2", ["failed"])])
def test_a_direct_syncs_failure_counts_until_its_organisation_succeeds(
    stores: SqlStores, organisation_id: str, expected: list[str]
) -> None:
    stores.runs.save(a_run("failed", state=RunState.FAILED, account_id=None, organisation_id="o1"))
    stores.runs.save(
        a_run("next", account_id=None, organisation_id=organisation_id, requested_at=LATER, finished_at=LATER)
    )
    assert unmended(stores) == expected


def test_what_is_held_back_waits_until_somebody_decides(stores: SqlStores) -> None:
    stores.runs.save(HELD)
    assert held(stores) == ["held"]
    rejected = DecisionVerdict.REJECTED
    stores.decisions.decide(
        Decision(run_id="held", plan_hash="h", verdict=rejected, decided_by="ann", at=AT, act_id=None)
    )
    assert held(stores) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"account_id": 2}, ["held"]),
        ({"state": RunState.RUNNING}, ["held"]),
        ({"of_run_id": "held", "preset": "undo"}, ["held"]),
    ],
)
def test_what_is_held_back_is_overtaken_by_the_accounts_next_sync(
    stores: SqlStores, changes: dict[str, object], expected: list[str]
) -> None:
    stores.runs.save(HELD)
    stores.runs.save(a_run("next", **{"requested_at": LATER, "finished_at": LATER, **changes}))
    assert held(stores) == expected
