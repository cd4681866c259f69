"""What a run needs from the outside, as Protocols; adapters satisfy them.

Every fetch raises the errors of `sync.errors`; nothing returns None for a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from sync.changes import Action, Change
from sync.model import (
    Account,
    Game,
    Grade,
    Ladder,
    Organisation,
    OrganisationKind,
    RecordKind,
    Season,
    Team,
)
from sync.report import RequestCounts, Run, Stage

R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", Season, Grade, Team)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A single record that broke its contract; the rest of the listing stands."""

    kind: RecordKind
    record_id: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """A complete listing: every page arrived. A partial one is an error instead."""

    records: Sequence[R]
    quarantined: Sequence[Quarantined] = ()


@dataclass(frozen=True, slots=True)
class Fixture:
    """The complete fixture of a grade, with the team names it happened to carry.

    Games whose teams are not known yet (finals, mostly) are listed, but cannot be stored.
    Where a provider marks what it deletes, `deleted_ids` are gone, and a game that is merely not
    listed proves nothing.
    """

    games: Sequence[Game]
    team_names: Mapping[str, str] = field(default_factory=dict)
    quarantined: Sequence[Quarantined] = ()
    undecided_ids: Sequence[str] = ()
    proves_absence: bool = True
    deleted_ids: Collection[str] = ()


class Source(Protocol):
    """Where records come from, opened for one run (a provider adapter)."""

    def fetch_seasons(self, organisation: Organisation) -> Listing[Season]:
        """Every season the organisation publishes; of a club, incomplete by nature."""
        ...

    def fetch_grades(self, season: Season) -> Listing[Grade]: ...

    def fetch_teams(self, season: Season) -> Listing[Team]:
        """Every team entered in the season; one in several grades comes once for each."""
        ...

    def fetch_fixture(self, grade: Grade) -> Fixture: ...

    def fetch_ladders(self, grade: Grade) -> Listing[Ladder]: ...

    @property
    def requests(self) -> RequestCounts:
        """What this run has cost so far."""
        ...


class Sources(Protocol):
    """Opens a source for a run."""

    def open(  # noqa: PLR0913 - one call says how a run behaves
        self,
        provider: str,
        *,
        run_id: str,
        fresh_after: datetime,
        is_urgent: bool,
        is_patient: bool = False,
        is_helping: bool = False,
    ) -> Source:
        """Answers stored before `fresh_after` (aware UTC) are asked for again.

        A patient run is deferred while the provider is down, instead of failing. A helping one
        repeats no request: what fails goes back to the run that shared it out.
        Raises InvalidRequest for a provider that is not installed or configured.
        """
        ...


class StoredRecords(Protocol):
    """Records as they are stored, by id; soft-deleted games only where they are asked for."""

    def read_seasons(self, association_ids: Collection[str]) -> Mapping[str, Season]: ...

    def read_grades(self, season_ids: Collection[str]) -> Mapping[str, Grade]: ...

    def read_teams(self, season_ids: Collection[str]) -> Mapping[str, Team]: ...

    def read_games(self, grade_ids: Collection[str]) -> Mapping[str, Game]: ...

    def find_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        """Whichever grade holds them."""
        ...

    def find_game_grades(self, team_ids: Collection[str], *, since: date) -> Collection[str]:
        """The grades with a stored game of one of the teams that ends on `since` or later.

        A game without a day counts as later.
        """
        ...

    def read_removed_games(self, game_ids: Collection[str]) -> Mapping[str, Game]:
        """Those of the games that are soft-deleted; seen again they are restored."""
        ...

    def read_ladders(self, grade_ids: Collection[str]) -> Mapping[str, Ladder]: ...


class Cms(StoredRecords, Protocol):
    """Where accounts live and records go. One transaction an `apply`."""

    def find_account(self, account_id: int) -> Account:
        """Raises NotFound."""
        ...

    def find_organisation(self, kind: OrganisationKind, organisation_id: str) -> Organisation | None:
        """What is known of an organisation, or None when it was never seen."""
        ...

    def save_organisation(self, organisation: Organisation) -> None:
        """Remember a name and associations that were learned."""
        ...

    def set_flags(
        self, account_id: int, *, is_setup: bool | None = None, is_updating: bool | None = None
    ) -> None: ...

    def apply(
        self, run_id: str, stage: Stage, changes: Sequence[Change], *, fence: Fence
    ) -> Sequence[Quarantined]:
        """Write the changes and their history; repeatable.

        Answers the records it refused; all others are stored. Raises LeaseLost
        when a later fence has written to the same account.
        """
        ...

    def record_plan(self, run_id: str, stage: Stage, changes: Sequence[Change]) -> None:
        """Keep the changes of a dry run as its diff, applied to nothing."""
        ...

    def count_changes(self, run_id: str) -> Mapping[Stage, Mapping[Action, int]]:
        """How many records the run has written so far, by stage and action.

        A record that one stage wrote twice with the same action counts once.
        """
        ...

    def record_absences(
        self,
        grade_id: str,
        *,
        missing: Collection[str],
        present: Collection[str],
        day: date,
        is_doubtful: bool = False,
    ) -> Mapping[str, int]:
        """Count, per missing game, the different days on which a complete listing lacked it.

        Present games are counted from zero again. Answers the missing ones' counts; a day of a
        doubtful listing counts only in the counts of doubtful ones.
        """
        ...

    def count_absences(
        self, grade_id: str, *, missing: Collection[str], day: date, is_doubtful: bool = False
    ) -> Mapping[str, int]:
        """What `record_absences` would answer, recording nothing (for a dry run)."""
        ...


@runtime_checkable
class FindsRecords(Protocol):
    """A CMS that finds seasons, grades and teams by id, wherever they belong."""

    def find_records(self, record_type: type[F], record_ids: Collection[str]) -> Mapping[str, F]:
        """Without it a record that several seasons list may move between them."""
        ...


@runtime_checkable
class FindsAbsences(Protocol):
    """A CMS that can tell at once which games a complete listing has ever lacked."""

    def find_absent(self, *, most: int) -> Collection[str] | None:
        """All games with a recorded absence, of any account; None when they are more than `most`."""
        ...


@dataclass(frozen=True, slots=True)
class Fence:
    """Proof of a lease: `token` grows with each new holder of `key`."""

    key: str
    token: int


class Lease(Protocol):
    """A held account; lost when not renewed in time."""

    @property
    def fence(self) -> Fence: ...

    def renew(self) -> None:
        """Raises LeaseLost when somebody else holds it."""
        ...


class Leases(Protocol):
    def hold(self, key: str, *, owner: str) -> AbstractContextManager[Lease]:
        """Take the lease of an account or organisation; release it at the end.

        The same owner (a run) takes its own lease again after a crash.
        Raises AccountBusy.
        """
        ...

    def join(self, fence: Fence) -> Lease:
        """Work under a lease that another process holds, for a unit that it shared out."""
        ...


class Runs(Protocol):
    """The run records."""

    def request(self, run: Run) -> None:
        """Insert a queued run; repeatable, an existing one stays as it is."""
        ...

    def find(self, run_id: str) -> Run:
        """Raises NotFound."""
        ...

    def save(self, run: Run) -> None:
        """Store the state, stages and counts of the run."""
        ...


class Sizes(Protocol):
    """How many records the listings of an organisation had, in the last runs that nobody doubted."""

    def read(self, key: str) -> Mapping[str, Sequence[int]]:
        """By listing, oldest first; `key` is that of the organisation's lease."""
        ...

    def save(self, key: str, sizes: Mapping[str, Sequence[int]]) -> None: ...


class Checkpoints(Protocol):
    """Which units of a run are done, so that a killed run goes on where it stopped."""

    def is_done(self, run_id: str, unit: str) -> bool: ...

    def mark_done(self, run_id: str, unit: str, result: Mapping[str, Any]) -> None:
        """Remember the unit and its result (JSON values); called after its writes."""
        ...

    def mark_all_done(self, run_id: str, results: Mapping[str, Mapping[str, Any]]) -> None:
        """As `mark_done`, many units with their results at once."""
        ...

    def done(self, run_id: str) -> Mapping[str, Mapping[str, Any]]:
        """Every finished unit of the run with its result."""
        ...

    def forget(self, run_id: str) -> None:
        """Make the run start clean."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """How far a stage is: units done of total, and the records read by then.

    `eta_s` is what the rest takes at the pace so far; None until there is a pace.
    """

    run_id: str
    stage: Stage
    done: int
    total: int
    records: int
    eta_s: float | None = None


class Progress(Protocol):
    """Whoever watches a run; best effort, never raises."""

    def publish(self, event: Progressed) -> None: ...


class MapConcurrently(Protocol):
    def __call__(self, work: Callable[[T], R], items: Iterable[T], /) -> Iterator[R]:
        """Call `work` on every item, a bounded number at a time; answers as they come.

        Returns only after all calls have ended, so no work outlives its stage.
        """
        ...


class Announce(Protocol):
    def __call__(self, run: Run, /) -> None:
        """Tell the people concerned that the run has ended, well or badly; after the flags.

        Called once per verdict. The welcome mail belongs here: an onboarding that succeeded.
        """
        ...


class LetNext(Protocol):
    def __call__(self, run: Run, /) -> None:
        """From now on a request like this run's is a new one, not a duplicate of it.

        Called before each verdict is saved; repeatable, and raises nothing.
        """
        ...


class Clock(Protocol):
    def now(self) -> datetime:
        """Aware UTC."""
        ...


class StopSignal(Protocol):
    def raise_if_stopping(self) -> None:
        """Raises Stopping once this worker drains."""
        ...
