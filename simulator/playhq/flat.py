"""PlayHQ's flat games and fixed ladders, version 1: endpoints 7, 8, 9 and 10.

Source: the public OpenAPI document (docs.playhq.com/tech) and live-tested notes, read 2026.
"""

from __future__ import annotations

from typing import Any

from simulator.playhq import listings
from simulator.playhq.addresses import game_url, utc_text
from simulator.playhq.fixtures import pool
from simulator.playhq.grounds import address
from simulator.world.ladders import Table
from simulator.world.model import Game, Grade, Team


def flat_game(record: Game, *, has_grade: bool) -> dict[str, Any]:
    """Endpoints 7 and 10: one game, v1. Cricket's totals add both sides' innings, as the real ones do."""
    round_ = record.round
    shape: dict[str, Any] = {
        "id": record.id,
        "status": record.status,
        "url": game_url(record),
        "createdAt": utc_text(record.created_at),
        "updatedAt": utc_text(record.updated_at),
        "round": {
            "id": round_.id,
            "name": round_.name,
            "abbreviatedName": f"R{round_.number}",
            "isFinalRound": round_.is_final,
        },
        "pool": pool(record.pool),
        "schedule": None,
        "competitors": [_competitor(record, side) for side in (record.home, record.away)],
        "venue": None,
    }
    if has_grade:
        shape["grade"] = listings.grade(record.grade)
    if record.days:
        first = record.days[0]
        shape["schedule"] = {
            "date": first.local.date().isoformat(),
            "time": first.local.strftime("%H:%M:%S"),
            "timezone": first.ground.zone,
        }
        shape["venue"] = {
            "id": first.ground.venue_id,
            "name": first.ground.venue_name,
            "surfaceName": first.ground.name,
            "surfaceAbbreviation": first.ground.short_name,
            "address": address(first.ground),
        }
    return shape


def flat_ladders(record: Grade, tables: list[Table]) -> dict[str, Any]:
    """Endpoint 8: the ladders of a grade, v1, fixed columns."""
    columns = ("played", "won", "lost", "drawn", "byes", "pointsFor", "pointsAgainst", "forfeits")
    shown = []
    for table in tables:
        if table.kind != "overall":
            continue
        standings = [
            {
                "team": {"id": row.team.id, "name": row.team.name},
                **{key: row.values.get(key, 0) for key in columns},
                "disqualifications": 0,
                "adjustments": 0,
                "percentage": row.values.get("percentage", 0),
                "competitionPoints": row.values["competitionPoints"],
                "pointsAverage": 0,
                "ranking": rank,
            }
            for rank, row in enumerate(table.rows, 1)
        ]
        shown.append({"pool": pool(table.pool), "standings": standings})
    return {"grade": {"id": record.id}, "ladders": shown}


def _competitor(record: Game, side: Team) -> dict[str, Any]:
    shape: dict[str, Any] = {"id": side.id, "name": side.name, "isHomeTeam": side is record.home}
    if side.id in record.outcomes:
        shape["outcome"] = record.outcomes[side.id]
    if record.innings:
        shape["scoreTotal"] = sum(innings.runs for innings in record.innings)
    elif side.id in record.scores:
        score = record.scores[side.id]
        behinds = score.behinds or 0
        shape["scoreTotal"] = score.total
        shape["scoreSubTotal"] = [
            {"type": "TOTAL_GOALS", "count": score.goals, "value": score.total - behinds}
        ]
        if score.behinds is not None:
            shape["scoreSubTotal"].append({"type": "TOTAL_BEHINDS", "count": behinds, "value": behinds})
    return shape
