"""PlayHQ's wire form of seasons, grades, teams and who runs them: endpoints 1, 2, 3 and 12.

Source: the public OpenAPI document (docs.playhq.com/tech) and live-tested notes, read 2026.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from simulator.playhq.addresses import association_url, club_url, grade_url, logo_url, utc_text
from simulator.world.ids import make_id
from simulator.world.model import Association, Club, Grade, Season, Team


def season(record: Season, today: date) -> dict[str, Any]:
    status = record.status(today)
    # A finished season was last touched the day after it ended.
    touched = record.last_day + timedelta(days=1) if status == "COMPLETED" else record.first_day
    return {
        "id": record.id,
        "name": record.name,
        "status": status,
        "association": association(record.association),
        "competition": {"id": record.competition_id, "name": record.competition_name},
        "createdAt": None,
        "updatedAt": f"{touched.isoformat()}T01:00:00.000Z",
    }


def registration(record: Season) -> dict[str, Any]:
    return {
        "id": make_id(0, "registration", record.id, association=record.association.index),
        "seasonId": record.id,
        "seasonName": record.name,
        "competitionName": record.competition_name,
        "status": "OPEN",
    }


def association(record: Association) -> dict[str, Any]:
    logo = {"url": logo_url(record), "dimensions": {"width": 64, "height": 64}}
    return {
        "id": record.id,
        "name": record.name,
        "url": association_url(record),
        "logo": {"sizes": [logo]},
    }


def grade(record: Grade) -> dict[str, Any]:
    return {"id": record.id, "name": record.name, "url": grade_url(record)}


def team(record: Team) -> dict[str, Any]:
    shown_grade = record.grade if record.grade and not record.grade.is_hidden else None
    shape: dict[str, Any] = {
        "id": record.id,
        "createdAt": utc_text(record.created_at),
        "updatedAt": utc_text(record.created_at),
        "club": club(record.club, record.season.association) if record.club else None,
        "grade": grade(shown_grade) if shown_grade else None,
    }
    if record.is_named:
        shape["name"] = record.name
    return shape


def club(record: Club, seen_in: Association) -> dict[str, Any]:
    url = club_url(record, seen_in)
    return {"id": record.id, "name": record.name, "url": url, "logo": {"sizes": []}}
