"""What must hold between settings, once each is right by itself."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from importlib.metadata import entry_points

from settings.days import read_days
from settings.events import EVENTS
from settings.scheduling import Calendar, ScheduleEntry
from settings.schema import Settings

# Known without a look at what is installed, which takes longer than all the rest of a load.
BUILT_IN_CHANNELS = frozenset({"slack", "mail", "webhook", "apprise", "cms"})

# The key to correct, the setting that makes it wrong, and what would be right.
Broken = tuple[str, str, str]


def broken(settings: Settings) -> Iterator[Broken]:
    yield from _cms(settings)
    yield from _channels(settings)
    yield from _routes(settings)
    yield from _alerts(settings)
    yield from _http(settings)
    if settings.retention.changes_days > settings.retention.runs_days:
        advice = f"should be at most retention.runs_days ({settings.retention.runs_days:g})"
        yield "retention.changes_days", "retention.runs_days", advice
    for name, entry in settings.scheduler.entries.items():
        yield from _entry(f"scheduler.entries.{name}", entry, settings)


def _cms(settings: Settings) -> Iterator[Broken]:
    if settings.cms.kind == "strapi" and settings.cms.strapi.token is None:
        yield "cms.strapi.token", "cms.kind", "is required when cms.kind is strapi"


def _channels(settings: Settings) -> Iterator[Broken]:
    mail = settings.notifications.mail
    if mail.host is not None and not mail.recipients:
        advice = "should name somebody when notifications.mail.host is set"
        yield "notifications.mail.recipients", "notifications.mail.host", advice
    if (mail.username is None) != (mail.password is None):
        missing, given = ("username", "password") if mail.username is None else ("password", "username")
        advice = f"is required together with notifications.mail.{given}"
        yield f"notifications.mail.{missing}", f"notifications.mail.{given}", advice
    webhook = settings.notifications.webhook
    if webhook.url is not None and webhook.secret is None:
        advice = "is required to sign what is sent to notifications.webhook.url"
        yield "notifications.webhook.secret", "notifications.webhook.url", advice


def _routes(settings: Settings) -> Iterator[Broken]:
    notifications = settings.notifications
    for name, route in notifications.routes.items():
        key = f"notifications.routes.{name}"
        yield from _named(key, route.events, route.channels)
        if (route.quiet.starts is None) != (route.quiet.ends is None):
            missing, given = ("starts", "ends") if route.quiet.starts is None else ("ends", "starts")
            advice = f"is required together with {key}.quiet.{given}"
            yield f"{key}.quiet.{missing}", f"{key}.quiet.{given}", advice
        elif route.quiet.starts is not None and route.quiet.starts == route.quiet.ends:
            yield f"{key}.quiet.ends", f"{key}.quiet.starts", "should differ from starts"
    for name, template in notifications.templates.items():
        key = f"notifications.templates.{name}"
        yield from _named(key, template.events, template.channels)
        if template.subject is None and template.text is None:
            yield f"{key}.text", f"{key}.events", "should be set, or subject, or both"


def _named(key: str, events: Iterable[str], channels: Iterable[str]) -> Iterator[Broken]:
    for pattern in events:
        if not fnmatch.filter(EVENTS, pattern):
            advice = f"should match one of {', '.join(EVENTS)}, not {pattern!r}"
            yield f"{key}.events", f"{key}.events", advice
    for channel in channels:
        if channel not in BUILT_IN_CHANNELS and channel not in _installed_channels():
            known = ", ".join(sorted(BUILT_IN_CHANNELS | _installed_channels()))
            yield f"{key}.channels", f"{key}.channels", f"should be of {known}, not {channel!r}"


def _installed_channels() -> frozenset[str]:
    return frozenset(entry.name for entry in entry_points(group="clubsync.channels"))


def _alerts(settings: Settings) -> Iterator[Broken]:
    alerts = settings.alerts
    if alerts.failure_error_share < alerts.failure_share:
        advice = f"should be at least alerts.failure_share ({alerts.failure_share})"
        yield "alerts.failure_error_share", "alerts.failure_share", advice


def _http(settings: Settings) -> Iterator[Broken]:
    if settings.http.retry_base_s > settings.http.retry_cap_s:
        yield (
            "http.retry_base_s",
            "http.retry_cap_s",
            f"should be at most http.retry_cap_s ({settings.http.retry_cap_s})",
        )


def _entry(key: str, entry: ScheduleEntry, settings: Settings) -> Iterator[Broken]:
    triggers = (entry.cron is not None, entry.every_s is not None, not entry.calendar.is_empty)
    if sum(triggers) != 1:
        yield f"{key}.cron", f"{key}.every_s", "should be set, or every_s, or calendar, and not two of them"
    yield from _calendar(f"{key}.calendar", entry.calendar)
    for name in entry.except_days:
        if read_days(name) is None and name not in settings.scheduler.holidays:
            known = ", ".join(settings.scheduler.holidays) or "none"
            advice = f"should name days or a list of scheduler.holidays ({known}), not {name!r}"
            yield f"{key}.except_days", "scheduler.holidays", advice
    if entry.action == "batch" and entry.preset not in settings.presets:
        yield f"{key}.preset", f"{key}.action", f"should be one of {', '.join(settings.presets)}"
    if entry.every_s is not None and entry.jitter_s >= entry.every_s:
        yield f"{key}.jitter_s", f"{key}.every_s", f"should be less than every_s ({entry.every_s})"


def _calendar(key: str, calendar: Calendar) -> Iterator[Broken]:
    if bool(calendar.days) != bool(calendar.times):
        missing, given = ("times", "days") if calendar.days else ("days", "times")
        yield f"{key}.{missing}", f"{key}.{given}", f"is required together with {given}"
