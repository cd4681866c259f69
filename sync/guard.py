"""Which plans need a person: what looks like a provider's mistake is held back.

Providers answer with too few records when a grade is hidden, a tenant is wrong or a
release goes by; believing them would delete what customers see.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from sync.report import Guard

# A week of nights: one odd listing does not move the median.
USUAL_COUNT = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What passes without a person; shares are of one, not per cent."""

    removal_max_count: int = 50
    removal_max_share: float = 0.1
    shrink_max_share: float = 0.5
    quarantine_max_share: float = 0.2
    # Below these, one odd record would be a large share.
    quarantine_min_count: int = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether writes go on; `reason` is one sentence for the person who decides."""

    guard: Guard | None = None
    reason: str = ""

    @property
    def is_held(self) -> bool:
        return self.guard is not None


PASSED = Verdict()


def with_sizes(usual: Mapping[str, Sequence[int]], listed: Mapping[str, int]) -> Mapping[str, Sequence[int]]:
    """The last sizes of each listing with those of one more run."""
    added = {name: [*usual.get(name, ()), size][-USUAL_COUNT:] for name, size in listed.items()}
    return {**usual, **added}


def judge_size(*, listed: int, usual: Sequence[int], limits: Limits) -> Verdict:
    """Judge a complete listing against the median of its last sizes; one record less always passes."""
    if not usual:
        return PASSED
    expected = median(usual)
    if expected - listed > max(1, limits.shrink_max_share * expected):
        return Verdict(Guard.SHRINK, f"{listed} are listed, usual are {expected:.0f}")
    return PASSED


def judge_shrink(*, listed: int, missing: int, stored: int, limits: Limits) -> Verdict:
    """Judge one complete listing against what is stored of it; a single one always passes."""
    if missing <= 1:
        return PASSED
    if not listed:
        return Verdict(Guard.SHRINK, f"the listing is empty, {stored} are stored")
    if missing > limits.shrink_max_share * stored:
        return Verdict(Guard.SHRINK, f"{missing} of {stored} stored are missing from the listing")
    return PASSED


def judge_seasons(*, listed: int, usual: Sequence[int]) -> Verdict:
    """Judge whether a listing of no season at all may be true: once a person has said so."""
    if listed or (usual and not median(usual)):
        return PASSED
    return Verdict(
        Guard.NO_SEASONS,
        "the provider lists no season: check the id and the tenant, or whether it is hidden",
    )


def judge_removals(*, removals: int, stored: int, limits: Limits) -> Verdict:
    """Judge all removals of a run together; a single one always passes."""
    if removals > limits.removal_max_count:
        return Verdict(
            Guard.REMOVALS,
            f"{removals} removals are held back: more than {limits.removal_max_count} in one run",
        )
    if removals > max(1, limits.removal_max_share * stored):
        share = f"{limits.removal_max_share:.0%} of {stored} games"
        return Verdict(Guard.REMOVALS, f"{removals} removals are held back: more than {share}")
    return PASSED


def judge_quarantine(*, quarantined: int, total: int, limits: Limits) -> Verdict:
    """Judge how many records of one answer broke their contract."""
    if are_too_many(quarantined, total=total, limits=limits):
        return Verdict(Guard.QUARANTINE, f"{quarantined} of {total} records are unreadable")
    return PASSED


def are_too_many(quarantined: int, *, total: int, limits: Limits) -> bool:
    """Whether so many records in quarantine are no longer single records' faults."""
    return quarantined >= limits.quarantine_min_count and quarantined > limits.quarantine_max_share * total
