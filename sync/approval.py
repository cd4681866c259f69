"""A plan that the guard held back, as far as it still holds when a person approves it. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time

from sync.by_hand import Kept, Key
from sync.changes import Change
from sync.model import Record


@dataclass(frozen=True, slots=True)
class Approval:
    """What an approval of the plan with this hash writes now, and what it leaves as it is."""

    plan_hash: str
    changes: tuple[Change, ...]
    kept: tuple[Kept, ...]


def hash_of(changes: Collection[Change]) -> str:
    """Sixteen hex digits that name exactly these changes, with their before-images, in any order."""
    texts = sorted(
        json.dumps(
            [change.kind, change.record_id, change.action, _document(change.before), _document(change.after)],
            sort_keys=True,
        )
        for change in changes
    )
    return hashlib.blake2b("\n".join(texts).encode(), digest_size=8).hexdigest()


def plan_approval(
    held: Sequence[Change],
    stored: Mapping[Key, Record],
    absences: Mapping[str, int],
    *,
    confirmations: int,
) -> Approval:
    """The held removals that may still be made.

    A game must be stored as it was when the plan was made. `absences` counts the days on
    which complete listings lacked it; seen again since, it is counted from zero.
    """
    changes, kept = [], []
    for change in held:
        now = stored.get((change.kind, change.record_id))
        if now is None:
            kept.append(Kept(change.kind, change.record_id, "it was removed since"))
        elif now != change.before:
            kept.append(Kept(change.kind, change.record_id, "it was edited since"))
        elif absences.get(change.record_id, 0) < confirmations:
            kept.append(Kept(change.kind, change.record_id, "the provider has listed it since"))
        else:
            changes.append(change)
    return Approval(hash_of(held), tuple(changes), tuple(kept))


def _document(record: Record | None) -> object:
    return None if record is None else _plain(asdict(record))


def _plain(value: object) -> object:
    """The same for values that are equal: a moment in any zone, a whole number in any type."""
    match value:
        case dict():
            return {key: _plain(item) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case datetime():
            return value.astimezone(UTC).isoformat()
        case date() | time():
            return value.isoformat()
        case float() if value.is_integer():
            return int(value)
        case _:
            return value
