"""What the watch and the verdict see of a queue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

# Batches run at it; `brokers.queues.Priority`.
LOW = "low"


class Balance(Protocol):
    @property
    def is_balanced(self) -> bool: ...


class QueueState(Protocol):
    """`brokers.states.QueueState`; priorities are compared by their names."""

    @property
    def name(self) -> str: ...
    @property
    def waiting(self) -> Mapping[Any, int]: ...
    @property
    def depth(self) -> int: ...
    @property
    def leased(self) -> int: ...
    @property
    def dead(self) -> int: ...
    @property
    def oldest_age_s(self) -> float | None: ...
    @property
    def is_paused(self) -> bool: ...
    @property
    def done_per_minute(self) -> float: ...
    @property
    def died_per_minute(self) -> float: ...
    @property
    def ledger(self) -> Balance: ...
