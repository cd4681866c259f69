"""The queues and priorities, and what each isolates."""

from __future__ import annotations

from collections.abc import Mapping
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


# How long a message of a queue may wait to start before somebody should know. A nightly
# batch fills `syncs` and `grades` for hours on purpose; a customer waits for the others.
PATIENCE_S: Mapping[str, float] = {
    Queue.ONBOARDING: 120,
    Queue.UPDATES: 120,
    Queue.DIRECT: 600,
    Queue.SYNCS: 6 * 3600,
    Queue.GRADES: 3600,
    Queue.NOTIFICATIONS: 600,
    Queue.HEALTH: 300,
}
DEFAULT_PATIENCE_S = 3600.0


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
