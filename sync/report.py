"""A run as a record: mode, preset, state, stages, counts, outcome."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from sync.causes import Cause


class Mode(StrEnum):
    """What was asked for; each has an actor of its own."""

    CLUB = "club"
    ASSOCIATION = "association"
    CLUB_DIRECT = "club_direct"
    ASSOCIATION_DIRECT = "association_direct"
    UPDATE = "update"
    ONBOARDING = "onboarding"

    @property
    def is_direct(self) -> bool:
        return self in (Mode.CLUB_DIRECT, Mode.ASSOCIATION_DIRECT)


class Stage(StrEnum):
    """The stages in running order, named as operators name them."""

    COMPETITIONS = "competitions"
    TEAMS = "teams"
    GAMES = "games"
    FIXTURE_VALIDATION = "fixture-validation"
    FIXTURE_CLEANUP = "fixture-cleanup"
    EXTRAS = "extras"
    TRACKING = "tracking"


class Guard(StrEnum):
    """What may hold writes back until a person has looked."""

    NO_SEASONS = "no-seasons"
    SHRINK = "shrink"
    QUARANTINE = "quarantine"
    REMOVALS = "removals"


class Outcome(StrEnum):
    """A verdict; of a run it is the worst of its stages (skipped counts for nothing)."""

    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    SKIPPED = "skipped"


class DeliveryState(StrEnum):
    """What became of writes that the CMS could not take when their run made them."""

    WAITING = "waiting"
    REFUSED = "refused"


class RunState(StrEnum):
    """queued -> running -> (deferred -> running)* -> succeeded | partial | failed.

    A queued or deferred one whose batch is taken back becomes cancelled instead.
    """

    QUEUED = "queued"
    RUNNING = "running"
    DEFERRED = "deferred"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        return self not in (RunState.QUEUED, RunState.RUNNING, RunState.DEFERRED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StageReport:
    """What one stage did; written counts come from the changes it applied.

    `held` changes wait for a person, who approves the plan that `plan_hash` names; `waiting`
    ones for a CMS that was away, which `refused` some when they were brought there, the first
    because of `refusal`. `is_only_waiting` when nothing else kept the stage from succeeding.
    """

    outcome: Outcome
    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    removed: int = 0
    quarantined: int = 0
    held: int = 0
    waiting: int = 0
    refused: int = 0
    refusal: str | None = None
    is_only_waiting: bool = False
    plan_hash: str | None = None
    duration_s: float = 0.0
    message: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """What a guard held back; `change_count` changes wait with it, which may be none.

    Approved, a listing of `size` records is taken for the usual one from then on.
    """

    guard: Guard
    stage: Stage
    where: str
    reason: str
    change_count: int = 0
    listing: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """What a run cost its provider; `sent` includes repeats, cache hits are not sent."""

    sent: int = 0
    cache_hits: int = 0
    not_modified: int = 0
    retried: int = 0
    throttled: int = 0

    def __add__(self, other: RequestCounts) -> RequestCounts:
        return RequestCounts(
            sent=self.sent + other.sent,
            cache_hits=self.cache_hits + other.cache_hits,
            not_modified=self.not_modified + other.not_modified,
            retried=self.retried + other.retried,
            throttled=self.throttled + other.throttled,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, from the request to the verdict; times are aware UTC.

    `plan_hash` names what waits for a person: of a dry run all that it would write, of any
    other what the guards held back. `of_run_id` is the run that this one takes back or approves.
    `cause` is what put it off or ended it, where an error did.
    """

    id: str
    mode: Mode
    preset: str
    state: RunState
    requested_at: datetime
    account_id: int | None = None
    organisation_id: str | None = None
    provider: str | None = None
    batch_id: str | None = None
    of_run_id: str | None = None
    dry_run: bool = False
    started_at: datetime | None = None
    finished_at: datetime | None = None
    config_version: int | None = None
    stages: Mapping[Stage, StageReport] = field(default_factory=dict)
    requests: RequestCounts = field(default_factory=RequestCounts)
    holds: tuple[Hold, ...] = ()
    plan_hash: str | None = None
    message: str | None = None
    cause: Cause | None = None

    @property
    def outcome(self) -> Outcome | None:
        """The verdict; None while there is none, and of a cancelled run."""
        has_verdict = self.state.is_final and self.state is not RunState.CANCELLED
        return Outcome(self.state.value) if has_verdict else None

    @property
    def delivery(self) -> DeliveryState | None:
        """None when the CMS has got all that the run wrote."""
        reports = self.stages.values()
        if any(report.waiting for report in reports):
            return DeliveryState.WAITING
        return DeliveryState.REFUSED if any(report.refused for report in reports) else None

    @property
    def duration_s(self) -> float | None:
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()
