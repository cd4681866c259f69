"""Values as the CMS shows them; its consumers compare with exactly these texts.

Source: reference of the CMS's fields, collections and fields (November 2026).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time

_MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# A Strapi text column holds no more: v5 refuses a longer text, v4 fails with a 500.
_TEXT_LENGTH = 255
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DISPLAY_DAY = re.compile(r"(\d{1,2}) ([A-Za-z]{3})[a-z]* (\d{4})")


def short_code(record_id: str) -> str:
    """The first eight hex digits of a UUID, as page addresses end in; other ids stay whole."""
    return record_id[:8] if _UUID.fullmatch(record_id) else record_id


def long_day(day: date) -> str:
    """Saturday, 18 October 2031."""
    return f"{_WEEKDAYS[day.weekday()]}, {day.day} {_MONTHS[day.month - 1]} {day.year}"


def short_day(day: date) -> str:
    """03 Oct 2031."""
    return f"{day.day:02} {_MONTHS[day.month - 1][:3]} {day.year}"


def read_day(value: object) -> date | None:
    """The day of a competition's date: display text, ISO text, or missing."""
    text = value if isinstance(value, str) else ""
    try:
        if found := _DISPLAY_DAY.search(text):
            months = [month[:3].lower() for month in _MONTHS]
            return date(int(found[3]), months.index(found[2].lower()) + 1, int(found[1]))
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def clock_time(start: time) -> str:
    """11:00 AM."""
    return f"{(start.hour - 1) % 12 + 1}:{start.minute:02} {'AM' if start.hour < 12 else 'PM'}"


def moment(at: datetime) -> str:
    """2031-10-18T00:00:00.000Z, as Strapi answers it; `at` is aware."""
    at = at.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def read_moment(value: object) -> datetime | None:
    """A moment with its offset, in whichever ISO form."""
    try:
        at = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def squeezed(code: str) -> str:
    """A provider's code in lower case and without separators: it is written in several ways."""
    return re.sub(r"[\W_]", "", code.lower())


def text(value: str | None) -> str | None:
    return None if value is None else value[:_TEXT_LENGTH]


def label(code: str | None, labels: Mapping[str, str]) -> str | None:
    """The label of a code, in any case and with any separators, as `T_20` is `t20`.

    An unknown one in title case, as `IN_PROGRESS` is In Progress.
    """
    if code is None:
        return None
    known = {squeezed(name): shown for name, shown in labels.items()}
    if shown := known.get(squeezed(code)):
        return shown
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", code).replace("_", " ")
    return text(" ".join(word.capitalize() for word in spaced.split()))
