"""In-memory ports that keep the rules of the Redis ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sync.errors import StoreUnavailable

START = datetime(2026, 11, 23, 12, tzinfo=UTC)


@dataclass
class FakeClock:
    """One time for everybody: aware UTC by `now`, seconds by `monotonic`."""

    at: datetime = START

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def advance(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class FakeLeadership:
    clock: FakeClock
    owner: str | None = None
    until: float = 0.0
    term: int = 0
    is_down: bool = False
    given_up: list[str] = field(default_factory=list)

    def take(self, owner: str, lease_s: float) -> int | None:
        if self.is_down:
            raise StoreUnavailable("Redis did not answer")
        now = self.clock.monotonic()
        if self.owner is not None and now < self.until and self.owner != owner:
            return None
        if self.owner != owner or now >= self.until:
            self.term += 1
        self.owner, self.until = owner, now + lease_s
        return self.term

    def give_up(self, owner: str) -> None:
        if self.is_down:
            raise StoreUnavailable("Redis did not answer")
        if self.owner == owner:
            self.owner = None
        self.given_up.append(owner)
