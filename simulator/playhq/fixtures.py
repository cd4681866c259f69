"""PlayHQ's fixture of a grade and summary of a game, version 2: endpoints 4 and 6.

Source: the public OpenAPI document (docs.playhq.com/tech) and live-tested notes, read 2026.
"""

from __future__ import annotations

from typing import Any

from simulator.playhq.addresses import game_url, utc_text
from simulator.playhq.grounds import surface
from simulator.world.model import Day, Format, Game, Grade, Pool, Round


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
        "playingSurfaces": [surface(ground) for ground in grounds.values()],
    }


def game(record: Game) -> dict[str, Any]:
    has_innings = record.kind.has_innings
    return {
        "id": record.id,
        "status": record.status,
        "type": record.kind.value,
        "url": game_url(record),
        "createdAt": utc_text(record.created_at),
        "updatedAt": utc_text(record.updated_at),
        "pool": pool(record.pool),
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
    surfaces = {day.ground.id: surface(day.ground) for day in record.days}
    return shape | {
        "gradeId": record.grade.id,
        "grade": {"id": record.grade.id, "name": record.grade.name},
        "organisation": {"id": owner.id, "name": owner.name},
        "round": {"id": round_.id, "name": round_.name, "abbreviatedName": f"R{round_.number}"},
        "appearances": [],
        "coinToss": None,
        "playingSurfaces": list(surfaces.values()),
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


def _sends_text(record: Game) -> bool:
    return bool(record.days) and record.days[0].ground.is_text


def pool(pool: Pool | None) -> dict[str, str] | None:
    return {"id": pool.id, "name": pool.name} if pool else None
