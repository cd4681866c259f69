"""A change: one record, before and after, field by field."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sync.model import Record, RecordKind


class Action(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    REMOVED = "removed"
    RESTORED = "restored"


@dataclass(frozen=True, slots=True)
class FieldChange:
    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to be written for one record; `before` is None for a new one.

    `fields` lists what differs, for reading; `cause` says in a word why.
    """

    kind: RecordKind
    record_id: str
    action: Action
    before: Record | None
    after: Record | None
    fields: tuple[FieldChange, ...] = ()
    cause: str = "provider"
