"""Which accounts a batch has, and in what order: the one furthest past its freshness target first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from settings.schema import FreshnessTarget
from stores.redis.batches import Batch, Chosen
from sync.model import Account, OrganisationKind

# An account that was never synced has waited longest.
NEVER = timedelta(days=100_000)


@dataclass(frozen=True, slots=True)
class Freshness:
    """When accounts were last synced, by id, and how old each may become."""

    synced_at: Mapping[int, datetime]
    target_of: Callable[[Account], timedelta]

    def age(self, account: Account, now: datetime) -> timedelta:
        synced_at = self.synced_at.get(account.id)
        return NEVER if synced_at is None else now - synced_at

    def slack(self, account: Account, now: datetime) -> timedelta:
        """How long it may still wait; negative once it is overdue."""
        age = self.age(account, now)
        return -NEVER if age == NEVER else self.target_of(account) - age


def target_of(account: Account, targets: Iterable[FreshnessTarget]) -> timedelta:
    """The strictest target of the classes that match the account; without one it may wait for ever."""
    matching = [
        target.target_s
        for target in targets
        if (not target.types or account.organisation.kind.value in target.types)
        and (not target.tags or not set(target.tags).isdisjoint(account.tags))
    ]
    return timedelta(seconds=min(matching)) if matching else NEVER


def choose(batch: Batch, accounts: Sequence[Account], freshness: Freshness) -> list[Chosen]:
    """The batch's accounts by their slack when it starts; equal ones shuffled by its id."""
    now = batch.starts_at
    wanted = [account for account in accounts if _is_wanted(batch, account, freshness)]
    wanted.sort(key=lambda account: (freshness.slack(account, now), _shuffled(batch, account)))
    is_club = OrganisationKind.CLUB
    return [Chosen(account.id, account.organisation.kind is is_club) for account in wanted]


def _is_wanted(batch: Batch, account: Account, freshness: Freshness) -> bool:
    now = batch.starts_at
    return (
        (not batch.types or account.organisation.kind.value in batch.types)
        and (not batch.tags or not set(batch.tags).isdisjoint(account.tags))
        and (not batch.plans or account.plan in batch.plans)
        and batch.provider in (None, account.organisation.provider)
        and (
            batch.older_than_s is None or freshness.age(account, now) >= timedelta(seconds=batch.older_than_s)
        )
        and (not batch.is_due or freshness.slack(account, now) <= timedelta())
    )


def _shuffled(batch: Batch, account: Account) -> bytes:
    # No account is always the last of its equals.
    return hashlib.sha256(f"{batch.id}{account.id}".encode()).digest()
