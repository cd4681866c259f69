"""A plan that waits for a person, and what of it still holds when somebody decides. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, time
from enum import StrEnum
from itertools import chain

from sync.by_hand.writing import Kept, Key
from sync.changes import Action, Change
from sync.model import Record
from sync.report import Hold, Stage


class DecisionVerdict(StrEnum):
    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a person decided about a run's plan; `act_id` is the run that writes an approved one."""

    run_id: str
    plan_hash: str
    verdict: DecisionVerdict
    decided_by: str
    at: datetime
    act_id: str | None = None


def hash_of(changes: Collection[Change]) -> str:
    """Sixteen hex digits that name exactly these changes, with their before-images, in any order."""
    return join_digests(digest_of(change) for change in changes)


def hash_of_held(changes: Collection[Change], holds: Collection[Hold]) -> str | None:
    """The hash of what the guards held back; None when an approval would do nothing at all."""
    listings = [digest_of_listing(hold) for hold in holds if hold.listing is not None]
    if not changes and not listings:
        return None
    return join_digests([*map(digest_of, changes), *listings])


def digest_of(change: Change) -> bytes:
    """A change's part of the hash of its plan."""
    return _digest(
        [change.kind, change.record_id, change.action, _document(change.before), _document(change.after)]
    )


def digest_of_listing(hold: Hold) -> bytes:
    """The part of a listing whose size an approval takes for the usual one."""
    return _digest([hold.listing, hold.size])


def join_digests(digests: Iterable[bytes]) -> str:
    return hashlib.blake2b(b"".join(sorted(digests)), digest_size=8).hexdigest()


def image_of(change: Change) -> bytes:
    """Names the record as the change leaves it."""
    return _digest([change.kind, change.record_id, _document(change.after)])


def what_still_holds(
    planned: Mapping[Stage, Sequence[Change]],
    stored: Mapping[Key, Record],
    absences: Mapping[str, int],
    *,
    confirmations: int,
) -> tuple[Mapping[Stage, Sequence[Change]], Sequence[Kept]]:
    """The planned changes that may still be made, and the records that have changed since.

    A record must be stored as it was when the plan was made. `absences` counts the days on
    which complete listings lacked a game; seen again since, it is counted from zero.
    """
    reasons: dict[Key, str | None] = {}
    for change in chain.from_iterable(planned.values()):
        key = (change.kind, change.record_id)
        # A record's second change builds on its first.
        if key not in reasons:
            reasons[key] = _what_changed(change, stored)
        if change.action is Action.REMOVED and absences.get(change.record_id, 0) < confirmations:
            reasons[key] = reasons[key] or "the provider has listed it since"
    left = {
        stage: [change for change in changes if reasons[change.kind, change.record_id] is None]
        for stage, changes in planned.items()
    }
    return left, [Kept(*key, reason) for key, reason in reasons.items() if reason is not None]


def _what_changed(change: Change, stored: Mapping[Key, Record]) -> str | None:
    now = stored.get((change.kind, change.record_id))
    if change.action in (Action.CREATED, Action.RESTORED):
        return None if now is None else "it was stored since"
    if now is None:
        return "it was removed since"
    return None if now == change.before else "it was edited since"


def _digest(values: object) -> bytes:
    return hashlib.blake2b(json.dumps(values, sort_keys=True).encode(), digest_size=8).digest()


def _document(record: Record | None) -> object:
    if record is None:
        return None
    # Without hints that are never stored: a plan that was read back has none.
    stored = {field.name for field in fields(record) if field.compare}
    return _plain({name: value for name, value in asdict(record).items() if name in stored})


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
