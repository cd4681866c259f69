from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import groupby

import pytest

from scheduler.outlook import Outlook, strictest
from scheduler.selection import choose
from settings.schema import FreshnessTarget
from stores.redis.batches import Batch
from sync.model import Account, Organisation, OrganisationKind
from tests.unit.scheduler.fakes import START

HOUR = timedelta(hours=1)


def account(number: int, plan: str | None = None) -> Account:
    organisation = Organisation(id=f"o{number}", kind=OrganisationKind.CLUB, provider="playhq")
    tags = (plan,) if plan else ()
    return Account(id=number, name=f"account {number}", organisation=organisation, plan=plan, tags=tags)


GOLD = FreshnessTarget(target_s=3600, tags=("gold",))


def chosen(synced_at: dict[int, datetime], accounts: list[Account], **order: object) -> list[int]:
    """Gold accounts may be an hour old, others the 20 hours of the season."""
    batch = Batch(id="0" * 32, starts_at=START, requested_by="me", **order)  # type: ignore[arg-type]
    return [one.account_id for one in choose(batch, accounts, Outlook(synced_at=synced_at, targets=[GOLD]))]


def test_the_account_furthest_past_its_target_is_first() -> None:
    accounts = [account(1), account(2), account(3, "gold"), account(4)]
    synced_at = {1: START - 2 * HOUR, 2: START - 30 * HOUR, 3: START - 12 * HOUR}
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
    assert strictest(one, targets) == hours * HOUR


def test_accounts_of_an_association_go_together_when_they_are_about_equally_overdue() -> None:
    home = {number: f"association-{number % 5}" for number in range(1, 41)}
    accounts = [account(number) for number in home]
    accounts = [
        replace(one, organisation=replace(one.organisation, association_ids=(home[one.id],)))
        for one in accounts
    ]
    synced_at = {number: START - 30 * HOUR - number * timedelta(seconds=1) for number in home}
    order = [home[number] for number in chosen(synced_at, accounts)]
    assert len(list(groupby(order))) == 5
    synced_at[40] -= HOUR
    assert chosen(synced_at, accounts)[0] == 40


def test_equals_are_shuffled_by_the_batch() -> None:
    accounts = [account(number) for number in range(1, 60)]
    order = chosen({}, accounts)
    assert order == chosen({}, accounts[::-1])
    assert order != sorted(order)


def test_accounts_near_a_match_are_due_within_the_hour_and_others_are_left_out() -> None:
    accounts = [account(number) for number in range(1, 6)]
    matches = {
        "o1": [START + HOUR],
        "o2": [START - 5 * HOUR],
        "o3": [START + 3 * HOUR],
        "o5": [START + HOUR],
    }
    synced_at = dict.fromkeys(range(1, 5), START - 2 * HOUR) | {5: START - 0.5 * HOUR}
    outlook = Outlook(synced_at=synced_at, matches=matches)
    batch = Batch(id="0" * 32, starts_at=START, requested_by="me", is_due=True, is_near_match=True)
    assert {one.account_id for one in choose(batch, accounts, outlook)} == {1, 2}


def test_out_of_season_an_account_waits_for_a_week_whatever_its_class() -> None:
    outlook = Outlook(synced_at={1: START - 100 * HOUR, 2: START - 160 * HOUR}, matches={}, targets=[GOLD])
    batch = Batch(id="0" * 32, starts_at=START, requested_by="me", is_due=True)
    accounts = [account(1, "gold"), account(2, "gold"), account(3)]
    assert [one.account_id for one in choose(batch, accounts, outlook)] == [3, 2]


def test_a_batch_takes_no_more_of_the_quota_than_it_may_and_the_most_overdue_first() -> None:
    accounts = [account(number) for number in range(1, 11)]
    synced_at = {number: START - number * HOUR for number in range(1, 11)}
    outlook = Outlook(synced_at=synced_at, requests=dict.fromkeys(range(1, 11), 50))
    batch = Batch(id="0" * 32, starts_at=START, requested_by="me", budget_s=30.0)  # 10 s each
    assert [one.account_id for one in choose(batch, accounts, outlook)] == [10, 9, 8]
