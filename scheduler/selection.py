"""Which accounts a batch has, and in what order: the one furthest past its freshness target first."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import timedelta

from scheduler.outlook import Outlook
from stores.redis.batches import Batch, Chosen
from sync.cadence import Phase
from sync.model import Account, OrganisationKind

# Accounts that are about equally overdue go together with those that share their answers: what one
# asks for serves the others while it is fresh, and a night's work and requests go in step.
ALIKE = timedelta(minutes=15)


def choose(batch: Batch, accounts: Sequence[Account], outlook: Outlook) -> list[Chosen]:
    """The batch's accounts by their slack when it starts, in steps of ALIKE.

    Equal ones are shuffled by the batch's id, those of an association together.
    """
    is_club = OrganisationKind.CLUB
    return [
        Chosen(account.id, account.organisation.kind is is_club)
        for account in _affordable(batch, in_line(batch, accounts, outlook), outlook)
    ]


def in_line(batch: Batch, accounts: Sequence[Account], outlook: Outlook) -> list[Account]:
    """Every account that the filters leave, the most overdue first."""
    now = batch.starts_at
    wanted = [account for account in accounts if _is_wanted(batch, account, outlook)]
    wanted.sort(
        key=lambda account: (
            outlook.slack(account, now) // ALIKE,
            _shuffled(batch, _association_of(account)),
            _shuffled(batch, str(account.id)),
        )
    )
    return wanted


def _affordable(batch: Batch, line: Sequence[Account], outlook: Outlook) -> Iterator[Account]:
    """As many as the batch may spend of each provider's quota."""
    spent_s: dict[str, float] = defaultdict(float)
    for account in line:
        provider = account.organisation.provider
        spent_s[provider] += outlook.cost_s(account)
        if batch.budget_s is None or spent_s[provider] <= batch.budget_s:
            yield account


def _is_wanted(batch: Batch, account: Account, outlook: Outlook) -> bool:
    now = batch.starts_at
    return (
        (not batch.types or account.organisation.kind.value in batch.types)
        and (not batch.tags or not set(batch.tags).isdisjoint(account.tags))
        and (not batch.plans or account.plan in batch.plans)
        and batch.provider in (None, account.organisation.provider)
        and (batch.older_than_s is None or outlook.age(account, now) >= timedelta(seconds=batch.older_than_s))
        and (not batch.is_due or outlook.slack(account, now) <= timedelta())
        and (not batch.is_near_match or outlook.judge(account, now).phase is Phase.MATCH)
    )


def _association_of(account: Account) -> str:
    """Its own id of an association; of a club that of the first one it is known to play in."""
    organisation = account.organisation
    return next(iter(organisation.association_ids), organisation.id)


def _shuffled(batch: Batch, name: str) -> bytes:
    # No account is always the last of its equals.
    return hashlib.sha256(f"{batch.id}{name}".encode()).digest()
