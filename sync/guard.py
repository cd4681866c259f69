"""Which plans need a person: what looks like a provider's mistake is held back.

Providers answer with too few records when a grade is hidden, a tenant is wrong or a
release goes by; believing them would delete what customers see.
"""

from __future__ import annotations

from dataclasses import dataclass


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

    reason: str | None = None

    @property
    def is_held(self) -> bool:
        return self.reason is not None


PASSED = Verdict()


def judge_shrink(*, listed: int, missing: int, stored: int, limits: Limits) -> Verdict:
    """Judge one complete listing against what is stored of it; a single one always passes."""
    if missing <= 1:
        return PASSED
    if not listed:
        return Verdict(f"the listing is empty, {stored} are stored")
    if missing > limits.shrink_max_share * stored:
        return Verdict(f"{missing} of {stored} stored are missing from the listing")
    return PASSED


def judge_removals(*, removals: int, stored: int, limits: Limits) -> Verdict:
    """Judge all removals of a run together; a single one always passes."""
    if removals > limits.removal_max_count:
        return Verdict(f"{removals} removals are held back: more than {limits.removal_max_count} in one run")
    if removals > max(1, limits.removal_max_share * stored):
        return Verdict(
            f"{removals} removals are held back: more than {limits.removal_max_share:.0%} of {stored} games"
        )
    return PASSED


def judge_quarantine(*, quarantined: int, total: int, limits: Limits) -> Verdict:
    """Judge how many records of one answer broke their contract."""
    if quarantined >= limits.quarantine_min_count and quarantined > limits.quarantine_max_share * total:
        return Verdict(f"{quarantined} of {total} records are unreadable")
    return PASSED
