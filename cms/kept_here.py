"""What a CMS of another system has no place for, kept in the local database: a base for adapters."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date

from cms.local import LocalStores
from sync.changes import Action, Change
from sync.model import Account, Organisation, OrganisationKind
from sync.report import Stage


class KeptHere:
    """The part of `sync.ports.Cms` about accounts, organisations, history and absences.

    An adapter adds what its CMS stores (reading records, and `apply`), and overrides the
    accounts if they live there. Its `apply` checks the fence (`stores.mirror.check_fence`) and
    records what it wrote (`stores.changes.record`).
    """

    def __init__(self, stores: LocalStores) -> None:
        self._stores = stores

    def find_account(self, account_id: int) -> Account:
        return self._stores.accounts.find(account_id)

    def find_organisation(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None:
        return self._stores.organisations.find(kind, organisation_id)

    def save_organisation(self, organisation: Organisation) -> None:
        self._stores.organisations.save(organisation)

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        self._stores.accounts.set_flags(account_id, is_setup=is_setup, is_updating=is_updating)

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        self._stores.changes.record(run_id, stage, changes, is_applied=False)

    def count_changes(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        return self._stores.changes.count_written(run_id)

    def record_absences(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        return self._stores.absences.record(
            grade_id, missing=missing, present=present, day=day, is_doubtful=is_doubtful
        )

    def find_absent(self, *, most: int) -> Collection[str] | None:
        return self._stores.absences.find_all(most=most)

    def count_absences(
        self, grade_id: str, *, missing: Collection[str], day: date, is_doubtful: bool = False
    ) -> Mapping[str, int]:
        del grade_id  # the port names it for CMSs that need it
        return self._stores.absences.count(missing=missing, day=day, is_doubtful=is_doubtful)
