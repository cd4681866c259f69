"""A problem that somebody should know of: what was seen of it, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sync.causes import Party


class Severity(StrEnum):
    """How bad, mildest first."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def level(self) -> int:
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing that is wrong: what, since when, how bad, and the next step.

    `seen` counts the looks in a row that saw it, `missed` those that did not any more.
    """

    kind: str
    severity: Severity
    what: str
    step: str
    since: datetime
    seen: int = 0
    missed: int = 0
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """Everything that is wrong with one subject, such as `provider:playhq` or `queue:syncs`.

    `severity` is the worst it has been. `opened_at` is None while it is only suspected;
    `count` is how many failures it stands for, `flaps` how often it came back, `revision`
    grows with whatever is to be told, `told_at` is when a change was told last.
    """

    id: str
    key: str
    severity: Severity
    title: str
    party: Party | None
    alerts: tuple[Alert, ...]
    first_seen_at: datetime
    seen_at: datetime
    opened_at: datetime | None = None
    told_at: datetime | None = None
    resolved_at: datetime | None = None
    count: int = 0
    flaps: int = 0
    revision: int = 0

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None and self.resolved_at is None

    @property
    def standing(self) -> tuple[Alert, ...]:
        """What the last look still saw of it, the worst first; none while it fades away."""
        seen = [alert for alert in self.alerts if alert.is_open and not alert.missed]
        return tuple(sorted(seen, key=lambda alert: -alert.severity.level)) if self.is_open else ()
