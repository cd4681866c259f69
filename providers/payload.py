"""Reading JSON that may surprise: additions are ignored, missing needs are told apart by record."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

from sync.model import RecordKind
from sync.ports import Quarantined

R = TypeVar("R")
JsonObject = dict[str, Any]
_FLAGS = {"true": True, "yes": True, "false": False, "no": False}


class BrokenRecord(Exception):
    """A record lacks what we need of it; the text says what."""


def read_records(
    items: Iterable[Any],
    kind: RecordKind,
    parse: Callable[[JsonObject], R],
    *,
    quarantined: list[Quarantined],
) -> dict[str, R]:
    """Parse each item by itself, keyed by id; a repeated id keeps its first record.

    Items that break their contract go to `quarantined`, the others stand.
    """
    records: dict[str, R] = {}
    for item in items:
        record_id = None
        try:
            entry = json_object(item)
            record_id = identifier(entry, "id")
            record = parse(entry)
        except BrokenRecord as broken:
            quarantined.append(Quarantined(kind=kind, record_id=record_id, reason=str(broken)))
        else:
            records.setdefault(record_id, record)
    return records


def json_object(item: Any) -> JsonObject:
    """Raises BrokenRecord for anything else."""
    if not isinstance(item, dict):
        raise BrokenRecord(f"an object was expected, not {_kind_of(item)}")
    return item


def text(item: JsonObject, key: str) -> str | None:
    """A text, trimmed; numbers are taken for their digits, anything else for missing."""
    value = item.get(key)
    if isinstance(value, str):
        # Databases refuse NUL in texts.
        return value.replace("\0", "").strip() or None
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
    return required_text(item, key).lower()


def optional_identifier(item: JsonObject, key: str) -> str | None:
    value = text(item, key)
    return value.lower() if value is not None else None


def flag(item: JsonObject, key: str) -> bool | None:
    """True or false, in JSON or spelled out; None when missing or anything else."""
    value = item.get(key)
    if isinstance(value, str):
        return _FLAGS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


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
        return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _kind_of(value: Any) -> str:
    return "null" if value is None else type(value).__name__
