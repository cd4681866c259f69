"""What adapters use of the local database, as Protocols; `stores.sql` satisfies them.

The embedded CMS lives in it. Other CMSs keep there what they have no place for: the
history, fences and absences.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol, TypeVar

from sync.changes import Action, Change
from sync.model import (
    Account,
    Organisation,
    OrganisationKind,
    Record,
)
from sync.ports import Fence, Quarantined, StoredRecords
from sync.report import Stage

R = TypeVar("R", bound=Record)


class Accounts(Protocol):
    def find(self, account_id: int) -> Account: ...

    def find_kinds(self, account_ids: Collection[int]) -> Mapping[int, OrganisationKind]: ...

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None: ...


class Organisations(Protocol):
    def find(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None: ...

    def find_by_code(self, kind: OrganisationKind, code: str) -> Organisation | None: ...

    def save(self, organisation: Organisation) -> None: ...


class Mirror(StoredRecords, Protocol):
    def digest_grade(self, grade_id: str) -> str: ...

    def digest_grades(self, grade_ids: Sequence[str]) -> Mapping[str, str]: ...

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]: ...

    def find_records(self, record_type: type[R], record_ids: Collection[str]) -> Mapping[str, R]: ...

    def check_fence(self, fence: Fence) -> None: ...

    def follow(
        self,
        run_id: str,
        stage: Stage,
        written: Sequence[Change],
        *,
        seen: Sequence[Change] = (),
        fence: Fence,
    ) -> None: ...

    def without_orphans(
        self, changes: Sequence[Change]
    ) -> tuple[Sequence[Change], Sequence[Quarantined]]: ...


class History(Protocol):
    def record(self, run_id: str, stage: Stage, written: Sequence[Change], *, is_applied: bool) -> None: ...

    def count_written(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]: ...


class Absences(Protocol):
    def record(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]: ...

    def count(
        self, *, missing: Collection[str], day: date, is_doubtful: bool = False
    ) -> Mapping[str, int]: ...

    def find_all(self, *, most: int) -> Collection[str] | None: ...


class CmsRefs(Protocol):
    def find(self, collection: str, key: str) -> str | None: ...

    def save(self, collection: str, key: str, ref: str) -> None: ...

    def claim(self, collection: str, keys: Collection[str], *, now: datetime) -> Collection[str]: ...


class LocalStores(Protocol):
    @property
    def accounts(self) -> Accounts: ...

    @property
    def organisations(self) -> Organisations: ...

    @property
    def mirror(self) -> Mirror: ...

    @property
    def changes(self) -> History: ...

    @property
    def absences(self) -> Absences: ...

    @property
    def cms_refs(self) -> CmsRefs: ...
