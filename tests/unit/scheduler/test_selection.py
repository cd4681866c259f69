from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from scheduler.selection import Freshness, choose, target_of
from settings.schema import FreshnessTarget
from stores.redis.batches import Batch
from sync.model import Account, Organisation, OrganisationKind
from tests.unit.scheduler.fakes import START

HOUR = timedelta(hours=1)


def account(number: int, plan: str | None = None) -> Account:
    organisation = Organisation(id=f"o{number}", kind=OrganisationKind.CLUB, provider="playhq")
    return Account(id=number, name=f"account {number}", organisation=organisation, plan=plan)


def chosen(synced_at: dict[int, datetime], accounts: list[Account], **order: object) -> list[int]:
    """Gold accounts may be an hour old, others a day."""
    targets = Freshness(synced_at, lambda account: HOUR if account.plan == "gold" else 24 * HOUR)
    batch = Batch(id="0" * 32, starts_at=START, requested_by="me", **order)  # type: ignore[arg-type]
    return [one.account_id for one in choose(batch, accounts, targets)]


def test_the_account_furthest_past_its_target_is_first() -> None:
    accounts = [account(1), account(2), account(3, "gold"), account(4)]
    synced_at = {1: START - 2 * HOUR, 2: START - 30 * HOUR, 3: START - 9 * HOUR}
    assert chosen(synced_at, accounts) == [4, 3, 2, 1]


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"older_than_s": 3600.0}, {2, 3, 4}),
        ({"older_than_s": 5 * 3600.0}, {3, 4}),
        ({"is_due": True}, {2, 4}),
        ({"plans": ("gold",)}, {1, 2}),
        ({"plans": ("gold", "silver"), "is_due": True}, {2}),
    ],
)
def test_accounts_are_chosen_by_freshness_and_plan(order: dict[str, object], expected: set[int]) -> None:
    accounts = [account(1, "gold"), account(2, "gold"), account(3), account(4)]
    synced_at = {1: START - 0.5 * HOUR, 2: START - 2 * HOUR, 3: START - 9 * HOUR}
    assert set(chosen(synced_at, accounts, **order)) == expected


@pytest.mark.parametrize(
    ("targets", "hours"),
    [
        ([FreshnessTarget(target_s=86400), FreshnessTarget(target_s=3600, tags=("vip",))], 1),
        ([FreshnessTarget(target_s=86400), FreshnessTarget(target_s=3600, types=("association",))], 24),
    ],
)
def test_the_strictest_class_that_matches_an_account_counts(
    targets: list[FreshnessTarget], hours: int
) -> None:
    one = replace(account(1), tags=("vip",))
    assert target_of(one, targets) == hours * HOUR


def test_equals_are_shuffled_by_the_batch() -> None:
    accounts = [account(number) for number in range(1, 60)]
    order = chosen({}, accounts)
    assert order == chosen({}, accounts[::-1])
    assert order != sorted(order)
