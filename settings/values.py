"""What single values must look like; each check answers the value or says what would be right."""

from __future__ import annotations

import re
from datetime import datetime, time
from string import Template
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import SecretStr

from settings.days import WEEKDAYS, read_days

HTTP_SCHEMES = ("http", "https")
REDIS_SCHEMES = (
    "redis",
    "rediss",
    "unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
)
DATABASE_SCHEMES = ("sqlite", "postgres", "postgresql", "postgresql+psycopg")

# Name, lowest, highest; numbered days of the week start at Sunday, 7 is Sunday again.
CRON_FIELDS = (
    ("minute", 0, 59),
    ("hour", 0, 23),
    ("day of month", 1, 31),
    ("month", 1, 12),
    ("day of week", 0, 7),
)
# A day that comes in leap years alone comes.
MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
# What a template may name. A notice has all of them; what does not apply is empty.
NOTICE_FIELDS = (
    "event",
    "severity",
    "subject",
    "text",
    "name",
    "account_id",
    "organisation_id",
    "provider",
    "run_id",
    "batch_id",
    "mode",
    "preset",
    "outcome",
    "cause",
    "message",
    "read",
    "created",
    "updated",
    "removed",
    "quarantined",
    "duration_s",
    "finished_at",
    "incident",
)
CRON_PART = re.compile(r"^(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?$")
# As settings.section.EntryName: a list of days that the settings name.
LIST_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


def http_url(value: str) -> str:
    _check_url(value, HTTP_SCHEMES, "https://host/path")
    return value


def secret_http_url(value: SecretStr) -> SecretStr:
    http_url(value.get_secret_value())
    return value


def proxy_url(value: SecretStr) -> SecretStr:
    _check_url(
        value.get_secret_value(), HTTP_SCHEMES, "http://host:port, or with user:password@ before the host"
    )
    return value


def redis_url(value: SecretStr) -> SecretStr:
    _check_url(value.get_secret_value(), REDIS_SCHEMES, "redis://host:6379/0")
    return value


def database_url(value: SecretStr) -> SecretStr:
    _check_url(
        value.get_secret_value(),
        DATABASE_SCHEMES,
        "postgresql://host/name, or with user:password@ before the host",
    )
    return value


def zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError("should be an IANA zone such as Australia/Sydney") from error
    return value


def cron(value: str) -> str:
    """Five fields of cron: `*`, numbers, names of months and days, ranges, lists and steps."""
    fields = value.split()
    if len(fields) != len(CRON_FIELDS):
        raise ValueError("should be five cron fields: minute hour day month weekday, such as '0 1 * * *'")
    for text, (name, lowest, highest) in zip(fields, CRON_FIELDS, strict=True):
        if not all(_is_cron_part(part, name, lowest, highest) for part in text.split(",")):
            raise ValueError(f"should have {name} values from {lowest} to {highest}, not {text!r}")
    _, _, day, month, _ = fields
    if _first_of(day, "day of month") > max(MONTH_DAYS[number - 1] for number in _months(month)):
        raise ValueError(f"should name a day that comes: no month of {month!r} has a day {day}")
    return value


def days(value: str) -> str:
    if read_days(value) is None:
        raise ValueError(
            "should name days: mon-fri, first sat, day 15, last day, 12-25, 2026-12-24 or 12-20..01-05"
        )
    return value


def days_or_list(value: str) -> str:
    """Days by name, or the name of a list of them."""
    return value if LIST_NAME.fullmatch(value) else days(value)


def clock_time(value: str) -> str:
    try:
        time.fromisoformat(value)
    except ValueError as error:
        raise ValueError("should be a time of day such as 09:30") from error
    return value


def local_moment(value: str) -> str:
    """A date and a time of day, of no zone: the entry has one."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError("should be a date and a time such as 2026-12-24 09:30") from error
    if moment.tzinfo is not None:
        raise ValueError("should name no zone: it is in the entry's own")
    return value


def notice_template(value: str) -> str:
    """A text with `$name` for the fields of a notice; only known names."""
    template = Template(value)
    known = ", ".join(NOTICE_FIELDS)
    if not template.is_valid():
        raise ValueError(f"should have $$ for a dollar sign and $name for one of {known}")
    if unknown := [name for name in template.get_identifiers() if name not in NOTICE_FIELDS]:
        raise ValueError(f"should not use ${unknown[0]}; there is {known}")
    return value


def comma_separated(value: Any) -> Any:
    """Variables hold lists as `a, b`; anything that is no text passes through."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _check_url(value: str, schemes: tuple[str, ...], example: str) -> None:
    message = f"should be a URL such as {example}; schemes: {', '.join(schemes)}"
    try:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError when it is no number
    except ValueError as error:
        raise ValueError(message) from error
    is_local = parts.scheme in ("unix", "sqlite")
    if parts.scheme not in schemes or not (parts.hostname or is_local) or value != value.strip():
        raise ValueError(message)


def _is_cron_part(part: str, name: str, lowest: int, highest: int) -> bool:
    match = CRON_PART.match(part.lower())
    if match is None or match["step"] == "0":
        return False
    ends = [_cron_number(text, name) for text in (match["first"], match["last"]) if text is not None]
    return all(end is not None and lowest <= end <= highest for end in ends) and ends == sorted(
        ends, key=lambda end: end or 0
    )


def _first_of(field: str, name: str) -> int:
    """The first value of a valid field."""
    firsts = [part.partition("/")[0].partition("-")[0] for part in field.lower().split(",")]
    return min(1 if first == "*" else _cron_number(first, name) or 1 for first in firsts)


def _months(field: str) -> set[int]:
    """The months of a valid field."""
    found: set[int] = set()
    for part in field.lower().split(","):
        match = CRON_PART.match(part)
        assert match is not None  # noqa: S101  it is valid
        first, last, step = match["first"], match["last"], match["step"]
        begins = 1 if first is None else _cron_number(first, "month") or 1
        ends = _cron_number(last, "month") or 12 if last else begins if first and not step else 12
        found.update(range(begins, ends + 1, int(step or 1)))
    return found


def _cron_number(text: str, name: str) -> int | None:
    if text.isdecimal():
        return int(text)
    if name == "month" and text in MONTHS:
        return MONTHS.index(text) + 1
    if name == "day of week" and text in WEEKDAYS:
        return WEEKDAYS.index(text)
    return None
