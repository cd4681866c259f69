"""Many accounts in one look, for a process that takes many orders at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, runtime_checkable

from sync.errors import NotFound, SyncError
from sync.model import OrganisationKind
from sync.ports import Cms

# A remote CMS is asked for this many accounts at the same time.
ASKED_AT_ONCE = 16

FindKinds = Callable[[Collection[int]], Mapping[int, OrganisationKind | SyncError]]


@runtime_checkable
class ManyAccounts(Protocol):
    """A CMS that answers for many accounts in one question."""

    def find_kinds(self, account_ids: Collection[int]) -> Mapping[int, OrganisationKind]:
        """The kinds of those of the accounts that exist."""
        ...


def finder_of(cms: Cms) -> FindKinds:
    """Finds those of the accounts that exist; one that could not be asked for comes with the reason."""
    if isinstance(cms, ManyAccounts):
        return cms.find_kinds
    threads = ThreadPoolExecutor(ASKED_AT_ONCE, thread_name_prefix="cms")

    def find(account_id: int) -> OrganisationKind | SyncError:
        try:
            return cms.find_account(account_id).organisation.kind
        except SyncError as error:
            return error

    def find_each(account_ids: Collection[int]) -> Mapping[int, OrganisationKind | SyncError]:
        found = zip(account_ids, threads.map(find, account_ids), strict=True)
        return {account_id: one for account_id, one in found if not isinstance(one, NotFound)}

    return find_each
