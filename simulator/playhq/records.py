"""PlayHQ's wire form of each record, field for field as its public API sends them.

Source: the public OpenAPI document (docs.playhq.com/tech) and live-tested notes, read 2026.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from simulator.ids import make_id, short_code
from simulator.ladders import Table
from simulator.model import Association, Club, Day, Format, Game, Grade, Ground, Pool, Round, Season, Team
from simulator.names import slug

_SITE = "https://www.playhq.com"
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


def utc_text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


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


def association(record: Association) -> dict[str, Any]:
    code = short_code(record.id)
    logo = {"url": f"{_SITE}/logos/{code}/64.png", "dimensions": {"width": 64, "height": 64}}
    return {
        "id": record.id,
        "name": record.name,
        "url": f"{_SITE}/{_section(record)}/org/{slug(record.name)}/{code}",
        "logo": {"sizes": [logo]},
    }


def registration(record: Season) -> dict[str, Any]:
    return {
        "id": make_id(0, "registration", record.id, association=record.association.index),
        "seasonId": record.id,
        "seasonName": record.name,
        "competitionName": record.competition_name,
        "status": "OPEN",
    }


def grade(record: Grade) -> dict[str, Any]:
    return {"id": record.id, "name": record.name, "url": _grade_url(record)}


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
    code = short_code(record.id)
    url = f"{_SITE}/{_section(seen_in)}/org/{slug(record.name)}/{code}"
    return {"id": record.id, "name": record.name, "url": url, "logo": {"sizes": []}}


def fixture(record: Grade, rounds: list[Round]) -> dict[str, Any]:
    """Endpoint 4: the whole fixture of a grade, v2."""
    shown = [(round_, [game for game in round_.games if not game.is_hidden]) for round_ in rounds]
    grounds = {day.ground.id: day.ground for _, games in shown for game in games for day in game.days}
    teams = {
        side.id: side
        for _, games in shown
        for game in games
        for side in (game.home, game.away)
        if not record.is_junior
    }
    return {
        "rounds": [
            {
                "id": round_.id,
                "name": round_.name,
                "abbreviatedName": f"R{round_.number}",
                "isFinalRound": round_.is_final,
                # The example and the schema of the published document spell the key differently.
                "byes": [{("teamID" if round_.number % 2 else "teamId"): side.id} for side in round_.byes],
                "games": [game(each) for each in games],
            }
            for round_, games in shown
        ],
        # Not every answer of the real service carries the names.
        "teams": [{"id": side.id, "name": side.name} for side in teams.values()],
        "playingSurfaces": [_surface(ground) for ground in grounds.values()],
    }


def game(record: Game) -> dict[str, Any]:
    has_innings = record.kind.has_innings
    return {
        "id": record.id,
        "status": record.status,
        "type": record.kind.value,
        "url": _game_url(record),
        "createdAt": utc_text(record.created_at),
        "updatedAt": utc_text(record.updated_at),
        "pool": _pool(record.pool),
        "schedule": _schedule(record.days) if record.days else None,
        "teams": [
            {"id": side.id, "isHomeTeam": side is record.home, "outcome": record.outcomes.get(side.id)}
            for side in (record.home, record.away)
        ],
        "periods": _periods(record) if has_innings else None,
        "match": _match(record) if not has_innings else None,
    }


def summary(record: Game) -> dict[str, Any]:
    """Endpoint 6: one game, v2."""
    shape = game(record)
    for side in shape["teams"]:
        team_ = record.side(side["id"])
        side["name"] = team_.name
        side["organisation"] = {"id": team_.club.id, "name": team_.club.name} if team_.club else None
    owner = record.grade.season.association
    round_ = record.round
    surfaces = {day.ground.id: _surface(day.ground) for day in record.days}
    return shape | {
        "gradeId": record.grade.id,
        "grade": {"id": record.grade.id, "name": record.grade.name},
        "organisation": {"id": owner.id, "name": owner.name},
        "round": {"id": round_.id, "name": round_.name, "abbreviatedName": f"R{round_.number}"},
        "appearances": [],
        "coinToss": None,
        "playingSurfaces": list(surfaces.values()),
    }


def flat_game(record: Game, *, has_grade: bool) -> dict[str, Any]:
    """Endpoints 7 and 10: one game, v1. Cricket's totals add both sides' innings, as the real ones do."""
    round_ = record.round
    shape: dict[str, Any] = {
        "id": record.id,
        "status": record.status,
        "url": _game_url(record),
        "createdAt": utc_text(record.created_at),
        "updatedAt": utc_text(record.updated_at),
        "round": {
            "id": round_.id,
            "name": round_.name,
            "abbreviatedName": f"R{round_.number}",
            "isFinalRound": round_.is_final,
        },
        "pool": _pool(record.pool),
        "schedule": None,
        "competitors": [_competitor(record, side) for side in (record.home, record.away)],
        "venue": None,
    }
    if has_grade:
        shape["grade"] = grade(record.grade)
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
            "address": _address(first.ground),
        }
    return shape


def ladders(record: Grade, tables: list[Table]) -> dict[str, Any]:
    """Endpoint 5: the ladders of a grade, v2; values are positional."""
    return {"gradeId": record.id, "conferences": [], "ladders": [_ladder(table) for table in tables]}


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
        shown.append({"pool": _pool(table.pool), "standings": standings})
    return {"grade": {"id": record.id}, "ladders": shown}


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
        "pool": _pool(table.pool),
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


def _schedule(days: list[Day]) -> list[dict[str, Any]]:
    return [
        {
            "day": number if len(days) > 1 else None,
            "dateTime": utc_text(day.start),
            "playingSurfaceId": day.ground.id,
        }
        for number, day in enumerate(days, 1)
    ]


def _periods(record: Game) -> list[dict[str, Any]] | None:
    if not record.innings and not record.placeholders:
        return None
    names = (
        (
            "HOME_TEAM_FIRST_INNINGS",
            "AWAY_TEAM_FIRST_INNINGS",
            "HOME_TEAM_SECOND_INNINGS",
            "AWAY_TEAM_SECOND_INNINGS",
        )
        if record.kind is Format.TWO_DAY
        else ("FIRST_INNINGS", "SECOND_INNINGS", "THIRD_INNINGS", "FOURTH_INNINGS")
    )
    is_text = _sends_text(record)
    periods = []
    for number, name in enumerate(names[: len(record.innings) + record.placeholders], 1):
        played = record.innings[number - 1] if number <= len(record.innings) else None
        batting = played.team_id if played else (record.home if number % 2 else record.away).id
        bowling = record.away.id if batting == record.home.id else record.home.id
        score = (played.runs, played.outs, played.overs) if played else (0, 0, 0)
        kinds = ("TOTAL_SCORE", "TOTAL_OUTS", "TOTAL_OVERS")
        statistics = [
            {"type": kind, "value": str(value) if is_text else value}
            for kind, value in zip(kinds, score, strict=True)
        ]
        status = ("ALL_OUT" if played.outs == 10 else "COMPLETED") if played else None
        # A forfeit's empty periods have no statistics, a two-day game's are all zero.
        if played is None and record.kind is not Format.TWO_DAY:
            statistics = []
        periods.append(
            {
                "name": name,
                "sequenceNo": str(number) if is_text else number,
                "teams": [
                    {
                        "id": batting,
                        "discipline": "BATTING",
                        "outcome": {"status": status, "statistics": statistics},
                    },
                    {
                        "id": bowling,
                        "discipline": "BOWLING",
                        "outcome": {"status": None, "statistics": []},
                    },
                ],
            }
        )
    return periods


def _match(record: Game) -> dict[str, Any] | None:
    if not record.scores:
        return None
    return {
        "teams": [
            {
                "id": side.id,
                "discipline": "SCORING",
                "outcome": {
                    "status": "COMPLETED",
                    "statistics": [
                        {"type": kind, "value": value}
                        for kind, value in (
                            ("TOTAL_GOALS", record.scores[side.id].goals),
                            ("TOTAL_BEHINDS", record.scores[side.id].behinds),
                            ("TOTAL_SCORE", record.scores[side.id].total),
                        )
                        if value is not None
                    ],
                },
            }
            for side in (record.home, record.away)
        ]
    }


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


def _surface(ground: Ground) -> dict[str, Any]:
    return {
        "id": ground.id,
        "name": ground.name,
        "abbreviatedName": ground.short_name,
        "longitude": _number(ground.longitude, ground),
        "latitude": _number(ground.latitude, ground),
        "venue": {
            "id": ground.venue_id,
            "name": ground.venue_name,
            "timezone": ground.zone,
            "address": _address(ground),
        },
    }


def _address(ground: Ground) -> dict[str, Any]:
    return {
        "line1": "" if ground.is_text else None,
        "suburb": ground.suburb,
        "postcode": _number(ground.postcode, ground),
        "state": ground.state,
        "country": ground.country,
        "latitude": _number(ground.latitude, ground),
        "longitude": None if ground.is_text else ground.longitude,
    }


def _number(value: float, ground: Ground) -> float | str:
    """The real service sends numbers as numbers and as text."""
    return str(value) if ground.is_text else value


def _sends_text(record: Game) -> bool:
    return bool(record.days) and record.days[0].ground.is_text


def _pool(pool: Pool | None) -> dict[str, str] | None:
    return {"id": pool.id, "name": pool.name} if pool else None


def _section(record: Association) -> str:
    return {"ca": "cricket-australia", "nzc": "new-zealand-cricket"}.get(record.tenant, record.tenant)


def _grade_url(record: Grade) -> str:
    owner = record.season.association
    return (
        f"{_SITE}/{_section(owner)}/org/{slug(owner.name)}/{slug(record.season.name)}/"
        f"{slug(record.name)}/{short_code(record.id)}"
    )


def _game_url(record: Game) -> str:
    return f"{_SITE}/{_section(record.grade.season.association)}/game-centre/{short_code(record.id)}"
