"""The queues and priorities, and what each isolates."""

from __future__ import annotations

from enum import StrEnum


class Queue(StrEnum):
    """Queue names; other programs rely on them."""

    ONBOARDING = "onboarding"  # first syncs: a customer waits to enter
    UPDATES = "updates"  # on-demand refreshes: a customer watches
    SYNCS = "syncs"  # account syncs, mostly the nightly batch
    DIRECT = "direct"  # administrators' syncs by organisation id
    GRADES = "grades"  # an association's grades, fanned out
    NOTIFICATIONS = "notifications"  # slow channels must not hold a sync
    HEALTH = "health"  # proves that a worker works


class Priority(StrEnum):
    """Strongest first; decided in Redis over all queues that a worker serves."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def level(self) -> int:
        """0 for urgent to 3 for low."""
        return list(Priority).index(self)
