"""What the scheduler does itself when an entry is due, instead of sending messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Found:
    """What came of it. `is_alarm`: a person should look; `changes` is what was done, for the audit."""

    message: str
    is_alarm: bool = False
    changes: Mapping[str, int] = field(default_factory=dict)


class Housework(Protocol):
    def __call__(self, raise_if_not_leading: Callable[[], None]) -> Found:
        """Repeatable; long work calls `raise_if_not_leading` now and then."""
        ...
