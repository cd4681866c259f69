"""What a row of the CMS says about a mirrored record: the same, something else, or nothing. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeVar

from cms.strapi.entries import Entry
from cms.strapi.formats import read_day
from cms.strapi.projection import Row
from cms.strapi.upserts import differing
from sync.model import Game, Record, Season

R = TypeVar("R", bound=Record)

# Columns that can be read back, by the attribute they show.
_TEXTS: Mapping[str, str] = MappingProxyType(
    {
        "competitionName": "competition_name",
        "orgName": "association_name",
        "teamName": "name",
        "round": "round",
        "type": "type",
        "urlToScoreCard": "url",
    }
)
# An attribute that a record needs is empty where the row has nothing.
_REQUIRED_TEXTS: Mapping[str, str] = MappingProxyType(
    {"status": "status", "season": "name", "gradeName": "name"}
)
_DAYS = frozenset({"date", "dayOne", "dateRangeObj", "finalDaysPlay", "time", "ground"})
_SEASON_DAYS: Mapping[str, str] = MappingProxyType({"startDate": "first_day", "endDate": "last_day"})


def as_in_cms(record: R, row: Row, entry: Entry) -> R | None:
    """The record with what the row shows instead; None for a game that the CMS has deleted.

    Display names of a game's teams are left out: they follow when the game is written.
    """
    drifted = differing(row, entry)
    if "isDeleted" in drifted:
        return None
    values: dict[str, Any] = {}
    for column in drifted:
        shown = entry.fields[column]
        if column in _TEXTS:
            values[_TEXTS[column]] = shown
        elif column in _REQUIRED_TEXTS:
            values[_REQUIRED_TEXTS[column]] = str(shown or "")
        elif isinstance(record, Season) and column in _SEASON_DAYS:
            values[_SEASON_DAYS[column]] = read_day(shown)
        elif isinstance(record, Game) and column in _DAYS:
            values["days"] = ()
        elif isinstance(record, Game) and column == "scorecards":
            values.update(innings=(), points={}, outcomes={})
    return replace(record, **values) if values else record
