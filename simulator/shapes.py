"""Each record in the shape of `clubsync export`, made from the world and not from any wire format."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any

from simulator.world.ladders import Table
from simulator.world.model import Day, Game, Grade, Season, Team

Shape = dict[str, Any]


def season(record: Season, status: str | None, days: Collection[date]) -> Shape:
    """`days` are those on which the grades that were looked at are played."""
    return {
        "id": record.id,
        "name": record.name,
        "status": status,
        "competition_id": record.competition_id,
        "competition_name": record.competition_name,
        "association_id": record.association.id,
        "first_day": min(days).isoformat() if days else None,
        "last_day": max(days).isoformat() if days else None,
    }


def grade(record: Grade) -> Shape:
    return {"id": record.id, "name": record.name, "season_id": record.season.id}


def team(record: Team, *, is_name_known: bool) -> Shape:
    shown_grade = record.grade if record.grade and not record.grade.is_hidden else None
    return {
        "id": record.id,
        "name": record.name if is_name_known else None,
        "club_id": record.club.id if record.club else None,
        "club_name": record.club.name if record.club else None,
        "grade_id": shown_grade.id if shown_grade else None,
        "season_id": record.season.id,
    }


def game(record: Game) -> Shape:
    """Sports that count goals have `points` once they were played; everything else has `innings`."""
    shape: Shape = {
        "id": record.id,
        "grade_id": record.grade.id,
        "round": record.round.name,
        "status": record.status,
        "type": record.kind.value,
        "first_day": record.days[0].local.date().isoformat() if record.days else None,
        "last_day": record.days[-1].local.date().isoformat() if record.days else None,
        "days": [_day(day) for day in record.days],
        "home_id": record.home.id,
        "away_id": record.away.id,
        "outcomes": dict(record.outcomes),
    }
    if record.scores:
        shape["points"] = {
            team_id: {"goals": score.goals, "behinds": score.behinds, "total": score.total}
            for team_id, score in record.scores.items()
        }
        return shape
    shape["innings"] = [
        {
            "team_id": innings.team_id,
            "number": innings.number,
            "runs": innings.runs,
            "outs": innings.outs,
            "overs": innings.overs,
        }
        for innings in record.innings
    ]
    return shape


def ladder(record: Grade, table: Table) -> Shape:
    return {
        "grade_id": record.id,
        "type": table.kind,
        "pool_id": table.pool.id if table.pool else None,
        "rows": [
            {"position": position, "team_id": row.team.id, "values": row.values}
            for position, row in enumerate(table.rows, 1)
        ],
    }


def _day(day: Day) -> Shape:
    return {
        "date": day.local.date().isoformat(),
        "time": day.local.strftime("%H:%M"),
        "utc": day.start.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "zone": day.ground.zone,
        "ground": day.ground.name,
        "venue": day.ground.venue_name,
    }
