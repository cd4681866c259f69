"""Records as JSON documents and back; a document's keys are also the table's columns.

Days are ISO dates, times of day HH:MM, moments ISO 8601 in UTC with Z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

import msgspec

from sync.changes import FieldChange
from sync.model import Game, Grade, Ladder, Record, RecordKind, Season, Team

R = TypeVar("R", bound=Record)

RECORD_TYPES: Mapping[RecordKind, type[Record]] = MappingProxyType(
    {
        RecordKind.SEASON: Season,
        RecordKind.GRADE: Grade,
        RecordKind.TEAM: Team,
        RecordKind.GAME: Game,
        RecordKind.LADDER: Ladder,
    }
)


def to_document(record: Record) -> dict[str, Any]:
    """The record as JSON takes it; a season's `updated_at` is a hint and left out."""
    document: dict[str, Any] = msgspec.to_builtins(record)
    document.pop("updated_at", None)
    for day in document.get("days", ()):
        _shorten(day)
    return document


def field_documents(fields: Sequence[FieldChange]) -> list[dict[str, Any]]:
    """What differs, as JSON takes it: name, before and after of each field."""
    documents: list[dict[str, Any]] = msgspec.to_builtins(fields)
    for document in documents:
        if document["name"] == "days":
            for day in (*(document["before"] or ()), *(document["after"] or ())):
                _shorten(day)
    return list(documents)


def from_document(record_type: type[R], document: Mapping[str, Any]) -> R:
    """The record of a document; keys that the record does not have are ignored."""
    if record_type is Game:
        document = {**document, "days": [_with_seconds(day) for day in document["days"]]}
    return msgspec.convert(document, record_type)


def _shorten(day: dict[str, Any]) -> None:
    start = day["start"]
    if start is not None and start.count(":") == 2:
        day["start"] = start.removesuffix(":00")


def _with_seconds(day: Mapping[str, Any]) -> Mapping[str, Any]:
    start = day["start"]
    return {**day, "start": f"{start}:00"} if start is not None and start.count(":") == 1 else day
