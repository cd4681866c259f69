"""The CMS's collections: fields with their types, and relations with their other ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Relation:
    """One end of a relation. Both ends share the name of its edge; `is_left` tells them apart."""

    target: str
    edge: str
    is_left: bool
    is_many: bool


@dataclass(frozen=True, slots=True)
class Collection:
    name: str
    fields: Mapping[str, Kind]
    relations: Mapping[str, Relation]


GAMES = (
    "game-meta-datas",
    "game-data-hockeys",
    "game-data-afls",
    "game-data-netballs",
    "game-data-basketballs",
)

_STRINGS: Mapping[str, str] = {
    "account-types": "Name",
    "accounts": "FirstName",
    "clubs": "Name href Sport PlayHQID",
    "associations": "Name href Sport PlayHQID",
    "competitions": (
        "competitionName competitionId competitionUrl url orgName status season startDate endDate"
    ),
    "club-to-competitions": "competitionUrl",
    "grades": "gradeName url gradeId",
    "teams": "teamName teamID href",
    "data-collections": "",
    **dict.fromkeys(
        GAMES,
        "gameID round date time type ground status urlToScoreCard teamHome teamAway teamHomeID teamAwayID "
        "deletionReason",
    ),
}
_OTHERS: Mapping[str, Mapping[str, Kind]] = {
    "accounts": {"isSetup": Kind.BOOLEAN, "isUpdating": Kind.BOOLEAN},
    "grades": {"ladder": Kind.JSON},
    "data-collections": {
        "whenWasTheLastCollection": Kind.DATETIME,
        "TimeTaken": Kind.INTEGER,
        "MemoryUsage": Kind.FLOAT,
        "processingTracker": Kind.JSON,
    },
    **{
        name: {
            "dayOne": Kind.DATETIME,
            "dateRangeObj": Kind.JSON,
            "finalDaysPlay": Kind.DATE,
            "isFinished": Kind.BOOLEAN,
            "scorecards": Kind.JSON,
            "isDeleted": Kind.BOOLEAN,
            "deletedAt": Kind.DATETIME,
        }
        for name in GAMES
    },
}
# Left collection and its attribute, right collection and its attribute; * stands for many.
_EDGES = (
    ("accounts", "account_type", "account-types", None),
    ("accounts", "clubs*", "clubs", None),
    ("accounts", "associations*", "associations", None),
    ("clubs", "associations*", "associations", "clubs*"),
    ("clubs", "competitions*", "competitions", None),
    ("competitions", "association*", "associations", "competitions*"),
    ("club-to-competitions", "club", "clubs", "club_to_competitions*"),
    ("club-to-competitions", "competition", "competitions", "club_to_competitions*"),
    ("grades", "competition", "competitions", "grades*"),
    ("teams", "competition", "competitions", "teams*"),
    ("teams", "grades*", "grades", "teams*"),
    ("teams", "club", "clubs", "teams*"),
    ("data-collections", "account", "accounts", None),
    *((games, "grade", "grades", f"{games.replace('-', '_')}*") for games in GAMES),
    *((games, "teams*", "teams", f"{games.replace('-', '_')}*") for games in GAMES),
)


def collections() -> Mapping[str, Collection]:
    """The collections by the name that stands in their address."""
    relations: dict[str, dict[str, Relation]] = {name: {} for name in _STRINGS}
    for left, left_name, right, right_name in _EDGES:
        edge = f"{left}.{left_name}"
        relations[left][left_name.rstrip("*")] = Relation(
            right, edge, is_left=True, is_many=left_name.endswith("*")
        )
        if right_name:
            relations[right][right_name.rstrip("*")] = Relation(
                left, edge, is_left=False, is_many=right_name.endswith("*")
            )
    return {
        name: Collection(
            name,
            dict.fromkeys(texts.split(), Kind.STRING) | dict(_OTHERS.get(name, {})),
            relations[name],
        )
        for name, texts in _STRINGS.items()
    }
