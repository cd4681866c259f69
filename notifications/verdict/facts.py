"""The facts that a verdict is made of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from notifications.problems import stuck_after_s
from notifications.queue_state import QueueState
from settings.schema import AlertsSettings
from sync.incident import Incident
from sync.report import Run

# Longer than any message but a sync takes; a sync is judged by its account's own history.
SLOW_AFTER_S = 30 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running sync, and how long its account's syncs usually take at most (None: unknown)."""

    run: Run
    elapsed: timedelta
    usual: timedelta | None

    def is_stuck(self, rules: AlertsSettings) -> bool:
        """Judged by the account's own history: a big association may take long every night."""
        usual_s = self.usual.total_seconds() if self.usual is not None else None
        return self.elapsed.total_seconds() > stuck_after_s(usual_s, rules)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Who paused a queue, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Syncs that failed in the last hour, or are put off now, for one reason; an example of them.

    `key` names what is at fault, `step` says what to do about it; `is_hopeless` is what fails
    every sync until a person has mended it.
    """

    key: str
    count: int
    is_put_off: bool
    message: str
    run_id: str
    step: str = ""
    is_hopeless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """Messages of a queue that are no syncs, and run for longer than any should."""

    queue: str
    count: int
    longest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`checks` is the health report; `paused_by` tells who paused a queue, where it is known.

    `succeeded_count` is of the last hour, as far as it matters beside the troubles. `silent` are
    processes that stopped to beat a short while ago without saying so, `quiet` the workers when not one
    of them takes anything new. `unserved` are queues without
    a worker, `without_actor` what workers serve but cannot carry out. `throttled_s` says for how long
    providers are left alone yet. `held` are syncs of which a guard held something back, newest first.
    `names` are those of accounts, as far as they are kept here.
    `incidents` are the open ones, `rules` the thresholds that opened them.
    """

    checks: Mapping[str, Mapping[str, Any]]
    required: Sequence[str]
    queues: Sequence[QueueState]
    worker_count: int
    running: Sequence[Running]
    paused_by: Mapping[str, Pause]
    troubles: Sequence[Trouble] = ()
    succeeded_count: int = 0
    silent: Sequence[str] = ()
    quiet: Sequence[str] = ()
    slow: Sequence[Slow] = ()
    unserved: Collection[str] = ()
    without_actor: Mapping[str, Sequence[str]] = field(default_factory=dict)
    throttled_s: Mapping[str, float] = field(default_factory=dict)
    held: Sequence[Run] = ()
    names: Mapping[int, str] = field(default_factory=dict)
    sync_queues: frozenset[str] = frozenset()
    incidents: Sequence[Incident] = ()
    rules: AlertsSettings = field(default_factory=AlertsSettings)
