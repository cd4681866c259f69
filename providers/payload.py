"""Reading JSON that may surprise: additions are ignored, missing needs are told apart by record."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from sync.model import Record, RecordKind
from sync.ports import Quarantined

R = TypeVar("R", bound=Record)
JsonObject = dict[str, Any]
_FLAGS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
# Databases index no text of any length; the longest known id is a UUID.
_MAX_ID_CHARS = 200
# What lies beyond is a mistake, and at its ends the calendar knows no zones.
_YEARS = range(1900, 2200)
# From here on a decimal may stand for several whole numbers.
_EXACT_BELOW = 2**53


class BrokenRecord(Exception):
    """A record lacks what we need of it; the text says what."""


def read_records(
    items: Iterable[Any],
    kind: RecordKind,
    parse: Callable[[JsonObject], R],
    *,
    quarantined: list[Quarantined],
    identity: Callable[[R], Hashable] = lambda record: record.id,
) -> list[R]:
    """Parse each item by itself; of those with one identity the first one is kept.

    Items that break their contract go to `quarantined`, the others stand.
    """
    records: dict[Hashable, R] = {}
    for item in items:
        record_id = None
        try:
            entry = json_object(item)
            record_id = identifier(entry, "id")
            record = parse(entry)
        except BrokenRecord as broken:
            quarantined.append(Quarantined(kind=kind, record_id=record_id, reason=str(broken)))
        else:
            records.setdefault(identity(record), record)
    return list(records.values())


def json_object(item: Any) -> JsonObject:
    """Raises BrokenRecord for anything else."""
    if not isinstance(item, dict):
        raise BrokenRecord(f"an object was expected, not {_kind_of(item)}")
    return item


def text(item: JsonObject, key: str) -> str | None:
    """A text, trimmed; numbers are taken for their digits (7.0 for 7), anything else for missing."""
    value = item.get(key)
    if isinstance(value, str):
        # Databases refuse NUL in texts.
        return value.replace("\0", "").strip() or None
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_BELOW:
        value = int(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else None


def required_text(item: JsonObject, key: str) -> str:
    """Raises BrokenRecord when there is no such text."""
    value = text(item, key)
    if value is None:
        raise BrokenRecord(f"`{key}` is missing")
    return value


def identifier(item: JsonObject, key: str) -> str:
    """A required identifier, lower case. Raises BrokenRecord."""
    value = required_text(item, key)
    if len(value) > _MAX_ID_CHARS:
        raise BrokenRecord(f"`{key}` has {len(value)} characters")
    return value.lower()


def optional_identifier(item: JsonObject, key: str) -> str | None:
    """As `identifier`; None for what is none."""
    value = text(item, key)
    return value.lower() if value is not None and len(value) <= _MAX_ID_CHARS else None


def flag(item: JsonObject, key: str) -> bool | None:
    """True or false; None when missing or anything else."""
    return truth(item.get(key))


def truth(value: Any) -> bool | None:
    """True or false, in JSON, as 1 or 0 or spelled out; None for anything else."""
    return value if isinstance(value, bool) else _FLAGS.get(str(value).strip().lower())


def part(item: JsonObject, key: str) -> JsonObject:
    """A nested object; empty when null or missing."""
    value = item.get(key)
    return value if isinstance(value, dict) else {}


def parts(item: JsonObject, key: str) -> list[JsonObject]:
    """The objects of a nested list; empty when null or missing."""
    value = item.get(key)
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def number(value: Any) -> float | None:
    """A finite number from a number or its text."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        parsed = float(value)
    except (ValueError, OverflowError):
        return None
    return parsed if abs(parsed) < float("inf") else None


def whole_number(value: Any) -> int | None:
    """A whole number from 7, 7.0, "7" or "7.0"; one beyond any score is taken for missing."""
    parsed = number(value)
    return int(parsed) if parsed is not None and parsed.is_integer() and abs(parsed) < 1e9 else None


def moment(value: Any) -> datetime | None:
    """An ISO 8601 moment as aware UTC; one without an offset is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        parsed = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if parsed.year not in _YEARS:
        return None
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def required_moment(item: JsonObject, key: str) -> datetime | None:
    """As `moment`; None only where nothing is said. Raises BrokenRecord for what cannot be read."""
    said = item.get(key)
    found = moment(said)
    if found is None and not _says_nothing(said):
        raise _unreadable(key, said)
    return found


def required_day(item: JsonObject, key: str, read: Callable[[str], date]) -> date | None:
    """A day, in a form that `read` knows or refuses with ValueError; None only where nothing is said.

    Raises BrokenRecord for what cannot be read: taken for missing, it would erase the day known before.
    """
    said = item.get(key)
    if _says_nothing(said):
        return None
    try:
        found = read(text(item, key) or "")
    except ValueError as error:
        raise _unreadable(key, said) from error
    if found.year not in _YEARS:
        raise _unreadable(key, said)
    return found


def _says_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _unreadable(key: str, said: Any) -> BrokenRecord:
    return BrokenRecord(f'`{key}` is unreadable: "{str(said)[:40]}"')


def _kind_of(value: Any) -> str:
    return "null" if value is None else type(value).__name__
