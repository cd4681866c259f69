"""What grades need from the outside: to be shared out among workers, and to be found unchanged."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from sync.model import Grade
from sync.ports import Fence, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class GradeTask:
    """One grade of a fanned-out run, with what another worker needs to do it."""

    run_id: str
    grade_id: str
    season_id: str
    fence: Fence
    fresh_after: datetime
    is_urgent: bool


class ShareOut(Protocol):
    def __call__(self, tasks: Sequence[GradeTask], /) -> object:
        """Send one message a task; lost or late ones only make the run slower."""
        ...


class Gathers(Protocol):
    """Who works on which unit of a fanned-out run; survives the crash of any of them.

    `token` is that of the run's fence: a later attempt opens anew, and helpers of an
    earlier one claim nothing more. A claim lapses by itself when its worker dies.
    """

    def open(self, run_id: str, units: Collection[str], *, token: int) -> None: ...

    def claim(self, run_id: str, unit: str, *, token: int) -> bool:
        """Take a unit that is neither done nor claimed."""
        ...

    def settle(self, run_id: str, unit: str, *, is_done: bool) -> int:
        """End a claim; a unit that is not done may be claimed again. Answers how many are left."""
        ...

    def wait(self, run_id: str, *, timeout_s: float) -> Collection[str]:
        """Wait until a unit may be claimed or all are done; answers those not done."""
        ...

    def close(self, run_id: str) -> None:
        """Forget the run; nothing can be claimed any more."""
        ...


@runtime_checkable
class DigestsAnswers(Source, Protocol):
    """A source that can tell cheaply whether a grade's answers are new."""

    @property
    def at_once(self) -> int:
        """How many requests at once are of use: what the provider allows."""
        ...

    def fetch_digest(self, grade: Grade) -> str | None:
        """A digest of all that `fetch_fixture` and `fetch_ladders` make their records from.

        That is the answers and the adapter's own settings. None where it cannot tell.
        """
        ...


@runtime_checkable
class RecallsDigests(Protocol):
    """A source that has answers at hand which other runs were given since this one's `fresh_after`."""

    def recall_digests(self, grades: Sequence[Grade]) -> Mapping[str, str]:
        """By grade what `DigestsAnswers.fetch_digest` would answer; what must be asked is left out."""
        ...


@runtime_checkable
class DigestsRecords(Protocol):
    """A CMS that can tell cheaply whether a grade's stored records are as they were."""

    def digest_grade(self, grade_id: str) -> str:
        """A digest of the stored games and ladders of a grade, soft-deleted games included."""
        ...

    def digest_grades(self, grade_ids: Sequence[str]) -> Mapping[str, str]:
        """As `digest_grade`, of each of them."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Digests of a grade that had nothing left to write; see `sync.grades.seal`.

    `result` is what its checkpoint remembered; `team_ids` are the teams that matter.
    """

    answers: str
    stored: str
    ground: str
    team_ids: tuple[str, ...]
    result: Mapping[str, Any]
    sealed_at: datetime


class Seals(Protocol):
    """Seals by organisation, because a club and its association look at different games."""

    def find(self, organisation_key: str, grade_id: str) -> Seal | None: ...

    def find_all(self, organisation_key: str) -> Mapping[str, Seal]:
        """All of the organisation's by grade, whether they still hold or not."""
        ...

    def save(self, organisation_key: str, grade_id: str, seal: Seal) -> None: ...

    def forget(self, organisation_key: str, grade_id: str) -> None: ...
