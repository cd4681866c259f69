"""Takes a run back: every record as it was before, except what was edited since. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sync.by_hand.writing import Kept, Key
from sync.changes import Action, Change
from sync.model import Game, Record, RecordKind
from sync.plan import differing_fields


@dataclass(frozen=True, slots=True)
class Undo:
    changes: tuple[Change, ...]
    kept: tuple[Kept, ...]


def plan_undo(
    history: Iterable[Change], stored: Mapping[Key, Record], removed: Mapping[str, Game], *, cause: str
) -> Undo:
    """Plan the way back through a run's changes, given oldest first.

    `stored` are the records as they are now, `removed` the soft-deleted games. Only games
    are removed again; other records that the run created stay.
    """
    first: dict[Key, Change] = {}
    last: dict[Key, Change] = {}
    for change in history:
        first.setdefault((change.kind, change.record_id), change)
        last[change.kind, change.record_id] = change
    changes, kept = [], []
    for key, earliest in first.items():
        now = stored.get(key)
        if _is_back(earliest, now):
            continue
        reason = _reason_to_keep(earliest, last[key], now, removed)
        if reason is not None:
            kept.append(Kept(*key, reason))
        else:
            changes.append(_way_back(earliest, now, removed, cause))
    return Undo(tuple(changes), tuple(kept))


def _is_back(earliest: Change, now: Record | None) -> bool:
    """Whether the record is as it was before the run: by an earlier undo, or by another sync."""
    if earliest.action in (Action.CREATED, Action.RESTORED):
        return now is None
    return now == earliest.before


def _reason_to_keep(
    earliest: Change, latest: Change, now: Record | None, removed: Mapping[str, Game]
) -> str | None:
    if latest.action is Action.REMOVED:
        if latest.record_id not in removed:
            return "it has come back since"
    elif now != latest.after:
        return "it was edited since" if now is not None else "it was removed since"
    if earliest.action is Action.CREATED and earliest.kind is not RecordKind.GAME:
        return f"a {earliest.kind.value} is never removed"
    return None


def _way_back(earliest: Change, now: Record | None, removed: Mapping[str, Game], cause: str) -> Change:
    before = now or removed.get(earliest.record_id)
    if earliest.action in (Action.CREATED, Action.RESTORED):
        action, after = Action.REMOVED, None
    else:
        action, after = Action.RESTORED if now is None else Action.UPDATED, earliest.before
    return Change(
        kind=earliest.kind,
        record_id=earliest.record_id,
        action=action,
        before=before,
        after=after,
        fields=differing_fields(before, after) if before and after else (),
        cause=cause,
    )
