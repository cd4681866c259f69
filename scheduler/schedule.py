"""The schedule table: which entries there are, and at which moments each has a tick.

A tick's moment follows from the entry alone, so that every scheduler computes the same
ones: intervals count from 1970, crons and calendars from the zone's wall clock, jitter from
the tick's name.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from scheduler.moments import MICROSECOND, Moments, moments_of
from settings.scheduling import ScheduleEntry, SchedulerSettings

# Names the ticks; any fixed UUID serves, this one is ours.
TICKS = uuid.UUID("5d6c6f0e-7a50-4d0c-9c1e-0f3a6c1b2d4e")
TRIGGER = {"cron", "every_s", "calendar", "except_days", "zone", "jitter_s"}


@dataclass(frozen=True, slots=True)
class Tick:
    """One moment at which an entry acts. `at` is nominal; jitter is within `due_at`."""

    entry_id: str
    at: datetime
    due_at: datetime

    @property
    def id(self) -> str:
        """A UUID in hex, the same for the same tick on every scheduler."""
        return uuid.uuid5(TICKS, f"{self.entry_id}@{self.at.timestamp():.3f}").hex


@dataclass(frozen=True)
class Entry:
    """A schedule entry with the moments of its ticks; `holidays` are lists that it may leave out."""

    id: str
    settings: ScheduleEntry
    holidays: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @cached_property
    def definition(self) -> str:
        """Changes with the trigger: ticks of another definition are not caught up."""
        trigger = self.settings.model_dump(mode="json", include=TRIGGER, exclude_defaults=True)
        left_out = {name: self.holidays[name] for name in self.settings.except_days if name in self.holidays}
        text = json.dumps([trigger, left_out], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def ticks(self, after: datetime, until: datetime) -> Iterator[Tick]:
        """Every tick in (after, until] by its nominal moment, in order; aware UTC."""
        for at in itertools.takewhile(lambda moment: moment <= until, self._moments(after)):
            yield Tick(self.id, at, at + self._jitter(at))

    def next_tick(self, after: datetime) -> Tick | None:
        """The first tick after a moment; None when there is none any more."""
        at = next(self._moments(after), None)
        return Tick(self.id, at, at + self._jitter(at)) if at is not None else None

    @cached_property
    def _moments(self) -> Moments:
        return moments_of(self.settings, self.holidays)

    def _jitter(self, at: datetime) -> timedelta:
        digest = hashlib.sha256(f"{self.id}@{at.timestamp():.3f}".encode()).digest()
        share = int.from_bytes(digest[:8], "big") / 2**64
        return timedelta(seconds=round(share * self.settings.jitter_s, 3))


@dataclass(frozen=True, slots=True)
class Due:
    """Ticks to send now, in order; `missed` is the first that came too long ago, if any."""

    send: tuple[Tick, ...]
    missed: Tick | None
    window_start: datetime


def table(settings: SchedulerSettings) -> Mapping[str, Entry]:
    """The entries by id, those left out that the settings pause."""
    return {
        name: Entry(name, entry, settings.holidays)
        for name, entry in settings.entries.items()
        if not entry.is_paused
    }


def due(entry: Entry, cursor: datetime, now: datetime, *, ahead_s: float) -> Due:
    """What to do about the ticks after the cursor, by the entry's misfire rule.

    Ticks up to `ahead_s` in the future count as due: they are sent with a delay.
    """
    oldest = now - timedelta(seconds=entry.settings.catch_up_s)
    # Jitter may carry an earlier tick into the window; those before are not worth counting.
    start = max(cursor, oldest - timedelta(seconds=entry.settings.jitter_s) - MICROSECOND)
    missed = next(entry.ticks(cursor, start), None)
    ticks = list(entry.ticks(start, now + timedelta(seconds=ahead_s)))
    late = [tick for tick in ticks if oldest <= tick.due_at < now]
    if entry.settings.coalesce:
        late = late[-1:]
    return Due((*late, *(tick for tick in ticks if tick.due_at >= now)), missed, start)
