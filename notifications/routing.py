"""Who hears of what, and when: routes by event, severity and tag, with quiet hours; pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from settings.schema import QuietHours, RouteSettings
from sync.incident import Severity


@dataclass(frozen=True, slots=True)
class Way:
    """How a channel hears of a notice: not before a moment, and by itself or as one of a group."""

    not_before: datetime | None = None
    is_grouped: bool = False


def ways(
    routes: Mapping[str, RouteSettings],
    *,
    event: str,
    severity: Severity,
    tags: Collection[str] = (),
    now: datetime,
) -> Mapping[str, Way]:
    """The channels that hear of it; where several routes lead to one, the soonest way counts."""
    found: dict[str, Way] = {}
    for route in routes.values():
        if not _matches(route, event, severity, tags):
            continue
        breaks_through = severity.level >= route.quiet.breaks_through.level
        way = Way(
            not_before=None if breaks_through else quiet_until(route.quiet, now),
            is_grouped=route.told == "grouped",
        )
        for channel in route.channels:
            found[channel] = min(found.get(channel, way), way, key=_slowness)
    return found


def uses_tags(routes: Mapping[str, RouteSettings]) -> bool:
    """Whether any route asks for an account's tags."""
    return any(route.tags for route in routes.values())


def quiet_until(quiet: QuietHours, now: datetime) -> datetime | None:
    """When the quiet hours that `now` falls into end; None outside of them. Aware UTC.

    By the wall clock of the zone: an hour that the clocks skip or repeat is as quiet as its
    neighbours.
    """
    if quiet.starts is None or quiet.ends is None:
        return None
    local = now.astimezone(ZoneInfo(quiet.zone))
    starts, ends = time.fromisoformat(quiet.starts), time.fromisoformat(quiet.ends)
    for days in (0, -1):
        day = local.date() + timedelta(days=days)
        ends_on = day if starts < ends else day + timedelta(days=1)
        first = datetime.combine(day, starts, local.tzinfo).astimezone(UTC)
        last = datetime.combine(ends_on, ends, local.tzinfo).astimezone(UTC)
        if first <= now < last:
            return last
    return None


def _matches(route: RouteSettings, event: str, severity: Severity, tags: Collection[str]) -> bool:
    return all(_conditions(route, event, severity, tags))


def _conditions(
    route: RouteSettings, event: str, severity: Severity, tags: Collection[str]
) -> Iterator[bool]:
    yield not route.events or any(fnmatchcase(event, pattern) for pattern in route.events)
    yield severity.level >= route.severity.level
    yield not route.tags or bool(set(route.tags) & set(tags))


def _slowness(way: Way) -> tuple[bool, datetime]:
    return way.is_grouped, way.not_before or datetime.min.replace(tzinfo=UTC)
