"""PlayHQ's page addresses, which end in the first eight digits of an id, and its moments."""

from __future__ import annotations

from datetime import datetime

from simulator.world.ids import short_code
from simulator.world.model import Association, Club, Game, Grade
from simulator.world.names import slug

_SITE = "https://www.playhq.com"


def utc_text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def association_url(record: Association) -> str:
    return f"{_SITE}/{_section(record)}/org/{slug(record.name)}/{short_code(record.id)}"


def logo_url(record: Association) -> str:
    return f"{_SITE}/logos/{short_code(record.id)}/64.png"


def club_url(record: Club, seen_in: Association) -> str:
    return f"{_SITE}/{_section(seen_in)}/org/{slug(record.name)}/{short_code(record.id)}"


def grade_url(record: Grade) -> str:
    season = record.season
    return (
        f"{association_url(season.association).rpartition('/')[0]}/{slug(season.name)}/"
        f"{slug(record.name)}/{short_code(record.id)}"
    )


def game_url(record: Game) -> str:
    return f"{_SITE}/{_section(record.grade.season.association)}/game-centre/{short_code(record.id)}"


def _section(record: Association) -> str:
    return {"ca": "cricket-australia", "nzc": "new-zealand-cricket"}.get(record.tenant, record.tenant)
