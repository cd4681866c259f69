"""Local days: a UTC moment belongs to the day at the ground, not to the day in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sync.model import GameDay


def find_zone(name: str | None, *, default: str) -> ZoneInfo:
    """The zone of this name, or the default one when it is missing or unknown."""
    if name is not None:
        try:
            return ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            pass
    return ZoneInfo(default)


def day_from_utc(at: datetime, zone: ZoneInfo, *, ground: str | None, venue: str | None) -> GameDay:
    """A playing day from an aware moment."""
    local = at.astimezone(zone)
    return GameDay(
        day=local.date(),
        start=local.time(),
        utc=at.astimezone(UTC),
        zone=zone.key,
        ground=ground,
        venue=venue,
    )


def day_from_local(
    day: date, start: time | None, zone: ZoneInfo, *, ground: str | None, venue: str | None
) -> GameDay:
    """A playing day from a wall clock; without a start there is no moment either."""
    utc = datetime.combine(day, start, zone).astimezone(UTC) if start is not None else None
    return GameDay(day=day, start=start, utc=utc, zone=zone.key, ground=ground, venue=venue)
