"""A CMS in front of another one: the base of those that read and write records in their own way."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sync.changes import Action, Change
from sync.model import Account, Organisation, OrganisationKind
from sync.ports import Cms
from sync.report import Stage


@dataclass(slots=True)
class DelegatingCms:
    """The part of `sync.ports.Cms` about accounts, organisations, history and absences, passed on.

    What a CMS may offer besides (`DigestsRecords`, `FindsAbsences`) is not: a subclass may hold
    records that the other CMS knows nothing of.
    """

    cms: Cms

    def find_account(self, account_id: int) -> Account:
        return self.cms.find_account(account_id)

    def find_organisation(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None:
        return self.cms.find_organisation(kind, organisation_id)

    def save_organisation(self, organisation: Organisation) -> None:
        self.cms.save_organisation(organisation)

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None:
        self.cms.set_flags(account_id, is_setup=is_setup, is_updating=is_updating)

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        self.cms.record_plan(run_id, stage, changes)

    def count_changes(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        return self.cms.count_changes(run_id)

    def record_absences(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        return self.cms.record_absences(
            grade_id, missing=missing, present=present, day=day, is_doubtful=is_doubtful
        )

    def count_absences(
        self, grade_id: str, *, missing: Collection[str], day: date, is_doubtful: bool = False
    ) -> Mapping[str, int]:
        return self.cms.count_absences(grade_id, missing=missing, day=day, is_doubtful=is_doubtful)
