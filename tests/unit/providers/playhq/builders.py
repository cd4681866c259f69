"""PlayHQ payloads in the shapes of its specification; all data invented."""

from __future__ import annotations

from typing import Any

SEASON_ID = "1b2f0c11-0000-4000-8000-000000000001"
GRADE_ID = "7c1d22aa-0000-4000-8000-000000000001"
ASSOCIATION_ID = "9a3e77d0-0000-4000-8000-000000000001"
CLUB_ID = "5d10ff00-0000-4000-8000-000000000001"
HAWKS = "3f00aa10-0000-4000-8000-000000000001"
GULLS = "3f00aa11-0000-4000-8000-000000000001"
GAME_ID = "e1e1e1e1-0000-4000-8000-000000000001"
SURFACE_ID = "dd000001-0000-4000-8000-000000000001"
POOL_ID = "bb000001-0000-4000-8000-000000000001"


def season(**changes: Any) -> dict[str, Any]:
    return {
        "id": SEASON_ID,
        "name": "Summer 2031/32",
        "status": "ACTIVE",
        "association": {
            "id": ASSOCIATION_ID,
            "name": "Harbour District CA",
            "url": "https://www.playhq.com/org/harbour-district-ca/9a3e77d0",
            "logo": {"sizes": [{"url": "https://x/64.png", "dimensions": {"width": 64, "height": 64}}]},
        },
        "competition": {"id": "c0ffee00-0000-4000-8000-000000000001", "name": "Senior Competition"},
        "createdAt": None,
        "updatedAt": "2031-08-02T01:00:00.000Z",
        **changes,
    }


def grade(**changes: Any) -> dict[str, Any]:
    return {"id": GRADE_ID, "name": "A Grade", "url": "https://www.playhq.com/a-grade/7c1d22aa", **changes}


def team(**changes: Any) -> dict[str, Any]:
    return {
        "id": HAWKS,
        "name": "Harbour Hawks 1st XI",
        "createdAt": "2031-08-05T02:00:00.000Z",
        "updatedAt": "2031-08-05T02:00:00.000Z",
        "club": {
            "id": CLUB_ID,
            "name": "Harbour Hawks CC",
            "url": "https://x/5d10ff00",
            "logo": {"sizes": []},
        },
        "grade": {"id": GRADE_ID, "name": "A Grade", "url": "https://x/7c1d22aa"},
        **changes,
    }


def statistics(**values: Any) -> list[dict[str, Any]]:
    return [{"type": kind, "value": value} for kind, value in values.items()]


def period(
    batting: str, bowling: str, *, sequence: Any = 1, status: str | None = "ALL_OUT", **values: Any
) -> dict[str, Any]:
    return {
        "name": "FIRST_INNINGS",
        "sequenceNo": sequence,
        "teams": [
            {
                "id": batting,
                "discipline": "BATTING",
                "outcome": {"status": status, "statistics": statistics(**values)},
            },
            {"id": bowling, "discipline": "BOWLING", "outcome": {"status": None, "statistics": []}},
        ],
    }


def game(**changes: Any) -> dict[str, Any]:
    return {
        "id": GAME_ID,
        "status": "FINAL",
        "type": "oneDay",
        "url": "https://www.playhq.com/game-centre/e1e1e1e1",
        "createdAt": "2031-09-01T00:00:00.000Z",
        "updatedAt": "2031-10-18T08:30:00.000Z",
        "pool": {"id": POOL_ID, "name": "Pool A"},
        "schedule": [{"day": None, "dateTime": "2031-10-18T02:00:00.000Z", "playingSurfaceId": SURFACE_ID}],
        "teams": [
            {"id": HAWKS, "isHomeTeam": True, "outcome": "WON"},
            {"id": GULLS, "isHomeTeam": False, "outcome": "LOST"},
        ],
        "periods": None,
        "match": None,
        **changes,
    }


def round_(*games: Any, **changes: Any) -> dict[str, Any]:
    return {
        "id": "aa000001-0000-4000-8000-000000000001",
        "name": "Round 3",
        "abbreviatedName": "R3",
        "isFinalRound": False,
        "byes": [{"teamID": "3f00aa13-0000-4000-8000-000000000001"}],
        "games": list(games),
        **changes,
    }


def surface(**venue: Any) -> dict[str, Any]:
    return {
        "id": SURFACE_ID,
        "name": "Oval 1",
        "abbreviatedName": "OV1",
        "longitude": 144.9,
        "latitude": "-37.8",
        "venue": {
            "id": "ee000001-0000-4000-8000-000000000001",
            "name": "Wharf Reserve",
            "timezone": "Australia/Melbourne",
            "address": {"line1": None, "suburb": "Port", "postcode": 3207, "latitude": "", "longitude": None},
            **venue,
        },
    }


def fixture(*rounds: Any, **changes: Any) -> dict[str, Any]:
    return {
        "rounds": list(rounds),
        "teams": [{"id": HAWKS, "name": "Harbour Hawks 1st XI"}],
        "playingSurfaces": [surface()],
        **changes,
    }


def flat_game(**changes: Any) -> dict[str, Any]:
    return {
        "id": GAME_ID,
        "status": "FINAL",
        "url": "https://x/game-centre/e1e1e1e1",
        "createdAt": "2031-09-01T00:00:00.000Z",
        "updatedAt": "2031-09-01T00:00:00.000Z",
        "round": {"id": "aa000001", "name": "Round 1", "abbreviatedName": "R1", "isFinalRound": False},
        "pool": None,
        "schedule": {"date": "2031-10-18", "time": "09:15:00", "timezone": "Australia/Melbourne"},
        "competitors": [
            {
                "id": GULLS,
                "name": "Gulls U12",
                "isHomeTeam": False,
                "outcome": "LOST",
                "scoreTotal": 30,
                "scoreSubTotal": [{"type": "TOTAL_GOALS", "count": 4, "value": 24}],
            },
            {
                "id": HAWKS,
                "name": "Hawks U12 Gold",
                "isHomeTeam": True,
                "outcome": "WON",
                "scoreTotal": 47,
                "scoreSubTotal": [
                    {"type": "TOTAL_GOALS", "count": 6, "value": 36},
                    {"type": "TOTAL_BEHINDS", "count": 11, "value": 11},
                ],
            },
        ],
        "venue": {"id": "ee000001", "name": "Wharf Stadium", "surfaceName": "Court 3", "address": {}},
        **changes,
    }


def ladder(**changes: Any) -> dict[str, Any]:
    return {
        "headers": [{"key": "played", "name": "Played"}, {"key": "competitionPoints", "name": "Points"}],
        "ladderTemplate": "LADDER_TEMPLATE_TOTAL_COMPETITION_POINTS",
        "rankingFields": [],
        "pool": None,
        "standings": [
            {"team": {"id": HAWKS, "name": "Harbour Hawks 1st XI"}, "conferenceId": None, "values": [6, 30]},
            {"team": {"id": GULLS, "name": "Gulls"}, "conferenceId": None, "values": [6, 24]},
        ],
        "type": "overall",
        **changes,
    }
