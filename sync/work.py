"""One stage's work: its units, what it counted, what failed and what was held back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any, Generic, TypeVar

from sync.by_hand.approval import hash_of
from sync.changes import Action, Change, counts_of
from sync.context import Context
from sync.errors import (
    CredentialsRejected,
    DeferredError,
    PermanentError,
    SyncError,
    TransientError,
)
from sync.guard import PASSED, Verdict, are_too_many, judge_quarantine, judge_size
from sync.ports import Quarantined
from sync.report import Hold, Outcome, Stage, StageReport
from sync.stage_progress import StageProgress

T = TypeVar("T")

# So many units failing one after another mean that the other side is down, not the units.
_DOWN_AFTER = 3


class TakenElsewhere(Exception):
    """Raised by a unit's work when another worker does it at the moment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What the guards say of one answer; `notes` tell of its unreadable records."""

    where: str
    verdict: Verdict = PASSED
    notes: Sequence[str] = ()
    listing: str | None = None
    size: int | None = None


class StageWork:
    """Counts and contains: a unit's failure is noted and the other units go on."""

    def __init__(self, context: Context, stage: Stage) -> None:
        self.context = context
        self.stage = stage
        self.started_at = context.clock.now()
        self.first_transient: TransientError | None = None
        self._read = 0
        self._quarantined = 0
        self._progress = StageProgress(context, stage, self.started_at)
        self._failures: list[tuple[str, SyncError]] = []
        # What the CMS did not take, each told with its reason.
        self._refusals: list[str] = []
        self._notes: list[str] = []
        self._holds: list[Hold] = []
        self._held_changes: list[Change] = []
        self.lock = Lock()

    def for_each(
        self,
        units: Sequence[T],
        work: Callable[[T], None],
        *,
        name: Callable[[T], str],
        done_before: int = 0,
    ) -> None:
        """Do every unit's work, some at a time.

        One unit's failure is contained. Raises what stops all: a deferral, a refused key,
        a provider that is down, or the failure itself when no unit succeeded.
        """
        self._progress.begin(done_before)
        attempts = _Attempts(self, work, name, total=len(units) + done_before, done=done_before)
        for _ in self.context.map_concurrently(attempts.attempt, units):
            pass
        attempts.raise_if_stopped()

    def count(self, *, read: int = 0, quarantined: int = 0) -> None:
        with self.lock:
            self._read += read
            self._quarantined += quarantined

    def count_done(self, done: Mapping[str, Any]) -> None:
        """Add what a unit's checkpoint tells of the work of an earlier attempt or another worker."""
        self.count(read=done["read"], quarantined=done["quarantined"])
        with self.lock:
            self._refusals += done.get("refusals", ())
        for note in done.get("notes", ()):
            self.note(note)

    def take_in(
        self,
        quarantined: Collection[Quarantined],
        *,
        readable: int,
        where: str,
        listing: str | None = None,
        doubt: Verdict = PASSED,
    ) -> Intake:
        """Count an answer's unreadable records and judge it.

        `listing` names one whose size is compared with its last ones; a `doubt` of the caller's
        comes first.
        """
        context = self.context
        size = readable + len(quarantined)
        self.count(read=len(quarantined), quarantined=len(quarantined))
        notes = [
            f"{where}: {record.kind} {record.record_id or 'without an id'} is unreadable: {record.reason}"
            for record in quarantined
        ]
        for note in notes:
            self.note(note)
        limits = context.rules.limits
        verdict = doubt
        if not verdict.is_held:
            verdict = judge_quarantine(quarantined=len(quarantined), total=size, limits=limits)
            if verdict.is_held:
                first = next(iter(quarantined)).reason
                verdict = replace(verdict, reason=f"{verdict.reason}, the first because of: {first}")
        if not verdict.is_held and listing is not None:
            verdict = judge_size(listed=size, usual=context.usual_sizes.get(listing, ()), limits=limits)
            if not verdict.is_held:
                with self.lock:
                    context.sizes[listing] = size
        return Intake(where=where, verdict=verdict, notes=notes, listing=listing, size=size)

    def write_or_hold(self, changes: Sequence[Change], intake: Intake) -> Sequence[Change]:
        """Write the changes, unless the guards doubt the answer they come from; answers the written ones."""
        if not intake.verdict.is_held:
            self.write(changes)
            return changes
        self.hold(
            intake.verdict, where=intake.where, changes=changes, listing=intake.listing, size=intake.size
        )
        return ()

    def write(self, changes: Sequence[Change]) -> Sequence[str]:
        """Apply the changes under the lease; answers what the CMS refused, each told with its reason."""
        if not changes:
            return ()
        context = self.context
        context.lease.renew()
        with self.lock:
            context.writes += 1
        refused = context.cms.apply(context.run_id, self.stage, changes, fence=context.lease.fence)
        return self._tell_refused(
            f"the CMS refused {one.kind} {one.record_id}: {one.reason}" for one in refused
        )

    def refuse(self, refused: Collection[Quarantined]) -> Sequence[str]:
        """Count and tell of listed records that are not stored; answers each with its reason."""
        self.count(read=len(refused))
        return self._tell_refused(
            f"{one.kind} {one.record_id} is not stored: {one.reason}" for one in refused
        )

    def _tell_refused(self, told: Iterable[str]) -> Sequence[str]:
        refusals = list(told)
        with self.lock:
            self._quarantined += len(refusals)
            self._refusals += refusals
        return refusals

    def progressed(self, done: int, total: int) -> None:
        """Tell who watches how many of the stage's units are done."""
        self._progress.tell(done, total, records=self._read)

    def note(self, message: str) -> None:
        with self.lock:
            self._notes.append(message)

    def hold(
        self,
        verdict: Verdict,
        *,
        where: str,
        changes: Sequence[Change] = (),
        listing: str | None = None,
        size: int | None = None,
    ) -> None:
        """Keep the changes back until a person approves them; the rest goes on."""
        assert verdict.guard is not None, "what passed is not held"  # noqa: S101 for the types
        hold = Hold(
            guard=verdict.guard,
            stage=self.stage,
            where=where,
            reason=verdict.reason,
            change_count=len(changes),
            listing=listing,
            size=size,
        )
        with self.lock:
            self._holds.append(hold)
            self._held_changes.extend(changes)
            self.context.holds.append(hold)
            self.context.held[self.stage] = self._held_changes

    def fail(self, name: str, error: SyncError) -> None:
        with self.lock:
            self._failures.append((name, error))
            if self.first_transient is None and isinstance(error, TransientError):
                self.first_transient = error

    def raise_if_all_failed(self, total: int) -> None:
        """Raise the first failure when none of the stage's units succeeded."""
        if self._failures and len(self._failures) >= total:
            raise self._failures[0][1]

    def report(self, written: Mapping[Action, int], *, error: SyncError | None = None) -> StageReport:
        """The stage's verdict; `written` counts the applied changes, `error` ended it early."""
        counts = counts_of(written)
        return StageReport(
            **counts,
            outcome=self._outcome(error, wrote_some=bool(written)),
            read=self._read,
            unchanged=max(0, self._read - counts["created"] - counts["updated"] - self._quarantined),
            quarantined=self._quarantined,
            held=len(self._held_changes),
            plan_hash=hash_of(self._held_changes) if self._held_changes else None,
            message=_summary(self._messages(error)),
        )

    def _outcome(self, error: SyncError | None, *, wrote_some: bool) -> Outcome:
        if isinstance(error, PermanentError):
            return Outcome.FAILED
        if error is not None:
            return Outcome.PARTIAL if wrote_some else Outcome.FAILED
        # A few unreadable records are counted and told, and do not spoil the verdict, or one odd
        # record at the provider would keep a customer out for ever. What the CMS refused does: the
        # customer lacks it.
        is_spoilt = self._failures or self._holds or self._refusals or self._has_lost_many
        return Outcome.PARTIAL if is_spoilt else Outcome.SUCCEEDED

    @property
    def _has_lost_many(self) -> bool:
        return are_too_many(self._quarantined, total=self._read, limits=self.context.rules.limits)

    def _messages(self, error: SyncError | None) -> list[str]:
        failed = self._failures
        if [failure for _, failure in failed] == [error]:
            # Then the run's own message is the error as it is: told once, in the same words.
            failed = []
        failures = [f"{name}: {failure}" for name, failure in failed]
        if error is not None and all(error is not failure for _, failure in failed):
            failures.insert(0, str(error))
        held = [f"{hold.where}: {hold.reason}" for hold in self._holds]
        if self._has_lost_many and not held:
            held = [f"{self._quarantined} of {self._read} records were not stored"]
        return [*failures, *held, *self._refusals, *self._notes]


class _Attempts(Generic[T]):
    """The units of one stage in flight; decides when to stop trying."""

    def __init__(
        self,
        stage_work: StageWork,
        work: Callable[[T], None],
        name: Callable[[T], str],
        *,
        total: int,
        done: int,
    ) -> None:
        self._stage_work = stage_work
        self._work = work
        self._name = name
        self._total = total
        self._done = done
        self._is_shared = False
        self._failed_in_a_row = 0
        self._errors: list[SyncError] = []
        self._stopped_by: SyncError | None = None
        self._lock = Lock()

    def attempt(self, unit: T) -> None:
        if self._stopped_by is not None:
            return
        context = self._stage_work.context
        try:
            context.stop.raise_if_stopping()
            context.lease.renew()
            self._work(unit)
        except TakenElsewhere:
            self._is_shared = True
        except (DeferredError, CredentialsRejected) as error:
            self._stopped_by = self._stopped_by or error
        except (TransientError, PermanentError) as error:
            self._stage_work.fail(self._name(unit), error)
            self._note_failure(error)
        else:
            self._note_success()

    def raise_if_stopped(self) -> None:
        if self._stopped_by is not None:
            raise self._stopped_by
        if self._errors and not self._done and not self._is_shared:
            raise self._errors[0]

    def _note_failure(self, error: SyncError) -> None:
        with self._lock:
            self._errors.append(error)
            self._failed_in_a_row += isinstance(error, TransientError)
            if self._failed_in_a_row >= _DOWN_AFTER and self._stopped_by is None:
                self._stopped_by = error

    def _note_success(self) -> None:
        with self._lock:
            self._failed_in_a_row = 0
            self._done += 1
            done = self._done
        self._stage_work.progressed(done, self._total)


def _summary(messages: Sequence[str]) -> str | None:
    """The first few messages and how many more there are; None when there are none."""
    shown = 3
    if not messages:
        return None
    more = len(messages) - shown
    return "; ".join(messages[:shown]) + (f"; and {more} more" if more > 0 else "")
