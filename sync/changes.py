"""A change: one record, before and after, field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypedDict

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


class WrittenCounts(TypedDict):
    created: int
    updated: int
    removed: int


def counts_of(written: Mapping[Action, int]) -> WrittenCounts:
    """What was written, as a stage's report counts it: a restored record is an updated one."""
    return {
        "created": written.get(Action.CREATED, 0),
        "updated": written.get(Action.UPDATED, 0) + written.get(Action.RESTORED, 0),
        "removed": written.get(Action.REMOVED, 0),
    }
