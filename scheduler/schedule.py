"""The schedule table: which entries there are, and at which moments each has a tick.

A tick's moment follows from the entry alone, so that every scheduler computes the same
ones: intervals count from 1970, crons from the zone's wall clock, jitter from the tick's name.
"""

from __future__ import annotations

import hashlib
import itertools
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from settings.schema import ScheduleEntry
from settings.values import WEEKDAYS

# Names the ticks; any fixed UUID serves, this one is ours.
TICKS = uuid.UUID("5d6c6f0e-7a50-4d0c-9c1e-0f3a6c1b2d4e")
MICROSECOND = timedelta(microseconds=1)


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
    """A schedule entry with the moments of its ticks."""

    id: str
    settings: ScheduleEntry

    @cached_property
    def definition(self) -> str:
        """Changes with the trigger: ticks of another definition are not caught up."""
        trigger = self.settings.model_dump_json(include={"cron", "every_s", "zone", "jitter_s"})
        return hashlib.sha256(trigger.encode()).hexdigest()[:12]

    def ticks(self, after: datetime, until: datetime) -> Iterator[Tick]:
        """Every tick in (after, until] by its nominal moment, in order; aware UTC."""
        for at in itertools.takewhile(lambda moment: moment <= until, self._moments(after)):
            yield Tick(self.id, at, at + self._jitter(at))

    def next_tick(self, after: datetime) -> Tick | None:
        """The first tick after a moment; None for a cron that never comes, such as 30 February."""
        at = next(self._moments(after), None)
        return Tick(self.id, at, at + self._jitter(at)) if at is not None else None

    def _moments(self, after: datetime) -> Iterator[datetime]:
        if self.settings.cron is None:
            return self._interval(after)
        return self._wall_clock(after, is_hourly=self.settings.cron.split()[1].startswith("*"))

    @cached_property
    def _trigger(self) -> CronTrigger:
        minute, hour, day, month, weekday = (self.settings.cron or "").lower().split()
        return CronTrigger(
            minute=minute,
            hour=hour,
            day=day,
            month=month,
            day_of_week=_weekday_names(weekday),
            timezone=self._zone,
        )

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.settings.zone)

    def _interval(self, after: datetime) -> Iterator[datetime]:
        every_ms = round((self.settings.every_s or 0) * 1000)
        first = int(after.timestamp() * 1000) // every_ms + 1
        for count in itertools.count(first):
            yield datetime.fromtimestamp(count * every_ms / 1000, UTC)

    def _wall_clock(self, after: datetime, *, is_hourly: bool) -> Iterator[datetime]:
        while True:
            next_second = (after + MICROSECOND).astimezone(self._zone)
            local: datetime | None = self._trigger.get_next_fire_time(None, next_second)
            if local is None:
                return
            after = local.astimezone(UTC)
            # An hour that comes twice in autumn is one hour to an entry that names its hours.
            if is_hourly or not local.fold:
                yield after

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


def table(entries: Mapping[str, ScheduleEntry]) -> Mapping[str, Entry]:
    """The entries by id, those left out that the settings pause."""
    return {name: Entry(name, entry) for name, entry in entries.items() if not entry.is_paused}


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


def _weekday_names(field: str) -> str:
    """Days by name: APScheduler counts them from Monday, cron from Sunday."""
    days: list[str] = []
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        if span == "*":
            low, high = 0, 6
        else:
            low = _weekday_number(first)
            high = _weekday_number(last) if last else (6 if step else low)
        days += [WEEKDAYS[number % 7] for number in range(low, high + 1, int(step or 1))]
    return "*" if field == "*" else ",".join(dict.fromkeys(days))


def _weekday_number(text: str) -> int:
    return int(text) if text.isdecimal() else WEEKDAYS.index(text)
