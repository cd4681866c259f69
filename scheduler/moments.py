"""The moments that an entry's trigger names: intervals, crons, calendars, less the days left out.

All follow from the entry alone. A local time that the clocks skip is the moment that much
later; one that comes twice is the first of the two, except for a cron of every hour, which
has every real hour.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger

from settings.days import WEEKDAYS, IsNamed, read_days
from settings.scheduling import Calendar, ScheduleEntry

MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)
EVERY_HOUR = ("*", "*/1")
# Of any zone's clocks, with room; most change by one hour.
LARGEST_CHANGE = timedelta(hours=3)
# A 29 February is eight years away at most; what is further has no moments.
HORIZON_DAYS = 8 * 366

Moments = Callable[[datetime], Iterator[datetime]]


def moments_of(entry: ScheduleEntry, holidays: Mapping[str, Sequence[str]]) -> Moments:
    """Answers the trigger's moments after a given one, in order, aware UTC."""
    zone = ZoneInfo(entry.zone)
    if entry.every_s is not None:
        moments = _interval(round(entry.every_s * 1000))
    elif entry.cron is not None:
        moments = _wall_clock(entry.cron, zone)
    else:
        moments = _calendar(entry.calendar, zone)
    names = [name for listed in entry.except_days for name in holidays.get(listed, (listed,))]
    return _except(moments, _any_of(names), zone) if names else moments


def _interval(every_ms: int) -> Moments:
    def after(start: datetime) -> Iterator[datetime]:
        first = int(start.timestamp() * 1000) // every_ms + 1
        for count in itertools.count(first):
            yield datetime.fromtimestamp(count * every_ms / 1000, UTC)

    return after


def _wall_clock(cron: str, zone: ZoneInfo) -> Moments:
    minute, hour, day, month, weekday = cron.lower().split()
    # The trigger reads a wall clock that is never changed. In a zone of its own it would leave
    # ticks out after the clocks changed, and find different ones from different starts.
    trigger = CronTrigger(
        minute=minute,
        hour=hour,
        day=day,
        month=month,
        day_of_week=_weekday_names(weekday),
        timezone=UTC,
    )
    folds = (0, 1) if hour in EVERY_HOUR else (0,)

    def walls(start: datetime) -> Iterator[datetime]:
        while (wall := trigger.get_next_fire_time(None, start)) is not None:
            yield wall
            start = wall + MICROSECOND

    def after(start: datetime) -> Iterator[datetime]:
        found: list[datetime] = []
        for wall in walls(start.astimezone(zone).replace(tzinfo=UTC) - LARGEST_CHANGE):
            moments = [wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in folds]
            # A later time of the wall clock may be an earlier moment, by as much as the clocks change.
            while found and found[0] < moments[0] - LARGEST_CHANGE:
                if (moment := heapq.heappop(found)) > start:
                    start = moment
                    yield moment
            for moment in moments:
                heapq.heappush(found, moment)

    return after


def _calendar(calendar: Calendar, zone: ZoneInfo) -> Moments:
    is_named = _any_of(calendar.days)
    times = [time.fromisoformat(text) for text in calendar.times]
    single = [datetime.fromisoformat(text) for text in calendar.at]

    def of_day(day: date) -> list[datetime]:
        named = [datetime.combine(day, at) for at in times] if is_named(day) else []
        local = [*named, *(moment for moment in single if moment.date() == day)]
        return sorted({moment.replace(tzinfo=zone).astimezone(UTC) for moment in local})

    def after(start: datetime) -> Iterator[datetime]:
        # A moment of yesterday may lie after midnight, where the clocks skipped it.
        today = start.astimezone(zone).date() - DAY
        for number in range(HORIZON_DAYS):
            for moment in of_day(today + number * DAY):
                if moment > start:
                    start = moment
                    yield moment

    return after


def _except(moments: Moments, is_left_out: IsNamed, zone: ZoneInfo) -> Moments:
    def after(start: datetime) -> Iterator[datetime]:
        last_day = start.astimezone(zone).date() + HORIZON_DAYS * DAY
        while True:
            for moment in moments(start):
                day = moment.astimezone(zone).date()
                if is_left_out(day):
                    break
                yield moment
            else:
                return
            while is_left_out(day):
                day += DAY
                if day > last_day:
                    return
            start = datetime.combine(day, time.min, zone).astimezone(UTC) - MICROSECOND

    return after


def _any_of(names: Sequence[str]) -> IsNamed:
    rules = [rule for name in names if (rule := read_days(name)) is not None]
    return lambda day: any(rule(day) for rule in rules)


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
