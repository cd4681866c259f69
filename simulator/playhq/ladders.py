"""PlayHQ's ladders of a grade, version 2: endpoint 5.

Source: the public OpenAPI document (docs.playhq.com/tech) and live-tested notes, read 2026.
"""

from __future__ import annotations

from typing import Any

from simulator.playhq.fixtures import pool
from simulator.world.ladders import Table
from simulator.world.model import Grade

_LONG_NAMES = {
    "played": ("Played", "P"),
    "won": ("Won", "W"),
    "lost": ("Lost", "L"),
    "ties": ("Ties", "T"),
    "drawn": ("Drawn", "D"),
    "noResults": ("No results", "NR"),
    "byes": ("Byes", "B"),
    "forfeits": ("Forfeits", "F"),
    "competitionPoints": ("Ladder points", "PTS"),
    "netRunRate": ("Net run rate", "NRR"),
    "pointsFor": ("Points for", "PF"),
    "pointsAgainst": ("Points against", "PA"),
    "percentage": ("Percentage", "%"),
}


def ladders(record: Grade, tables: list[Table]) -> dict[str, Any]:
    """Endpoint 5: the ladders of a grade, v2; values are positional."""
    return {"gradeId": record.id, "conferences": [], "ladders": [_ladder(table) for table in tables]}


def _ladder(table: Table) -> dict[str, Any]:
    headers = []
    for key in table.columns:
        name, short_name = _LONG_NAMES[key]
        is_points = key == "competitionPoints"
        headers.append(
            {
                "key": key,
                "name": name,
                "shortName": short_name,
                "type": "BASIC",
                "sortOrder": 1 if is_points else None,
                "defaultSort": is_points,
            }
        )
    return {
        "headers": headers,
        "ladderTemplate": "LADDER_TEMPLATE_TOTAL_COMPETITION_POINTS",
        "rankingFields": [
            {
                "key": "competitionPoints",
                "shortName": "PTS",
                "fullName": "Ladder points",
                "sortOrder": 1,
                "toolTip": "",
            }
        ],
        "pool": pool(table.pool),
        "standings": [
            {
                "team": {"id": row.team.id, "name": row.team.name},
                "conferenceId": None,
                "values": [row.values[key] for key in table.columns],
            }
            for row in table.rows
        ],
        "type": table.kind,
    }
