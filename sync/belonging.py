"""Which one a record belongs to when several listings name it, and which provider when two use its id.

A season has one association, a grade and a team one season, a game one grade. What is listed
in several belongs to the first of them, by an order that is the same for every run: whoever
looks first, nothing moves to and fro. Records are found by their provider's id alone, so what
is stored as one of another provider is refused, never overwritten.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sync.context import Context
from sync.model import Grade, RecordKind, Season, Team
from sync.ports import FindsRecords, Quarantined
from sync.window import is_completed

R = TypeVar("R", Season, Grade, Team)
C = TypeVar("C", Grade, Team)


def find_stored(context: Context, record_type: type[R], record_ids: Collection[str]) -> Mapping[str, R]:
    """Stored records wherever they belong; none where the CMS cannot tell."""
    cms = context.cms
    if not record_ids or not isinstance(cms, FindsRecords):
        return {}
    return cms.find_records(record_type, record_ids)


def is_foreign(context: Context, season: Season) -> bool:
    """Whether it is stored as another provider's; one whose provider nobody noted is not."""
    return season.provider not in (None, context.scope.organisation.provider)


def refusal(context: Context, kind: RecordKind, record_id: str, season: Season) -> Quarantined:
    """Of a record whose id is that of one stored below `season`, another provider's."""
    own = context.scope.organisation.provider
    reason = f"its id is taken by one of {season.provider}, so it cannot be stored as {own}'s"
    return Quarantined(kind=kind, record_id=record_id, reason=reason)


def first_seasons(listings: Iterable[tuple[Season, Sequence[C]]]) -> Mapping[str, str]:
    """By grade or team the id of the season that it belongs to, of those that list it."""
    first: dict[str, Season] = {}
    for season, records in listings:
        for record in records:
            first[record.id] = min(first.get(record.id, season), season, key=_place_of)
    return {record_id: season.id for record_id, season in first.items()}


@dataclass(frozen=True, slots=True)
class Claims(Generic[C]):
    """What of a season's listing is stored in this season, and what is not."""

    own: list[C] = field(default_factory=list)
    # What the own ones are compared with, some of them stored in another season until now.
    stored: dict[str, C] = field(default_factory=dict)
    # Those of another season of this run, and those of others as they are stored there.
    left_here: set[str] = field(default_factory=set)
    left_elsewhere: dict[str, C] = field(default_factory=dict)
    refused: list[Quarantined] = field(default_factory=list)


def claim(
    context: Context, season: Season, listed: Sequence[C], stored: Mapping[str, C], first: Mapping[str, str]
) -> Claims[C]:
    """Part the season's listing; `first` is what `first_seasons` says of all listings of this run."""
    claims: Claims[C] = Claims(stored=dict(stored))
    unknown = {record.id for record in listed} - stored.keys()
    found = find_stored(context, type(listed[0]), unknown) if unknown else {}
    holders = find_stored(context, Season, {record.season_id for record in found.values()})
    asked = set(first.values())
    for record in listed:
        held = found.get(record.id)
        holder = holders.get(held.season_id) if held is not None else None
        if holder is not None and is_foreign(context, holder):
            kind = RecordKind.GRADE if isinstance(record, Grade) else RecordKind.TEAM
            claims.refused.append(refusal(context, kind, record.id, holder))
        elif first[record.id] != season.id:
            claims.left_here.add(record.id)
        elif held is not None and holder is not None and _keeps(holder, season, asked):
            claims.left_elsewhere[record.id] = held
        else:
            claims.own.append(record)
            if held is not None:
                claims.stored[record.id] = held
    return claims


def _keeps(holder: Season, season: Season, asked: Collection[str]) -> bool:
    """Whether a season that this run did not ask may keep what another one lists, too."""
    return holder.id not in asked and _place_of(holder) < _place_of(season)


def _place_of(season: Season) -> tuple[bool, str]:
    """Seasons in order: those that still run before completed ones."""
    return is_completed(season), season.id
