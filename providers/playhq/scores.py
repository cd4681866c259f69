"""Scores of a PlayHQ game: innings of cricket, points of everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from providers.payload import JsonObject, number, optional_identifier, part, parts, text, whole_number
from sync.model import Innings, Points

_INNINGS_STATISTICS = ("TOTAL_SCORE", "TOTAL_OUTS", "TOTAL_OVERS")
_CRICKET_ONLY_STATISTICS = ("TOTAL_OUTS", "TOTAL_OVERS")
# Score types are named differently from sport to sport and version to version.
_GOALS = ("TOTAL_GOALS", "GOALS_TOTAL", "6_POINT_SCORE")
_BEHINDS = ("TOTAL_BEHINDS", "BEHINDS_TOTAL", "1_POINT_SCORE")
_TOTAL = ("TOTAL_SCORE", "SCORE_TOTAL", "TOTAL_POINTS")
_POINTS_A_GOAL = 6


def parse_innings(game: JsonObject) -> tuple[Innings, ...]:
    """The innings that were played, in order.

    Innings never reached, and those of forfeits, come as empty or all-zero placeholders;
    so what decides is a statistic other than zero, not presence.
    """
    ordered = sorted(
        enumerate(parts(game, "periods"), start=1), key=lambda entry: _sequence(entry[1], entry[0])
    )
    return tuple(
        innings
        for place, period in ordered
        for team in parts(period, "teams")
        if (innings := _played_innings(team, _sequence(period, place))) is not None
    )


def parse_points(game: JsonObject) -> Mapping[str, Points]:
    """Points by team, of sports that score through `match`; none before play."""
    scores = {
        team_id: _points(_statistics(team))
        for team in parts(part(game, "match"), "teams")
        if (team_id := optional_identifier(team, "id")) is not None
    }
    return scores if any(_counts(points) for points in scores.values()) else {}


def parse_flat_points(competitors: list[JsonObject]) -> Mapping[str, Points]:
    """Points by team from the competitors of a flat (version 1) game."""
    scores = {}
    for competitor in competitors:
        team_id = optional_identifier(competitor, "id")
        if team_id is None:
            continue
        points = _points(
            {
                kind: count
                for entry in parts(competitor, "scoreSubTotal")
                if (kind := text(entry, "type")) and (count := number(entry.get("count"))) is not None
            }
        )
        total = whole_number(competitor.get("scoreTotal"))
        points = replace(points, total=total) if total is not None else points
        if points != Points():
            scores[team_id] = points
    return scores


def _played_innings(team: JsonObject, number_in_game: int) -> Innings | None:
    team_id = optional_identifier(team, "id")
    discipline = text(team, "discipline")
    if team_id is None or (discipline is not None and discipline.upper() != "BATTING"):
        return None
    statistics = _statistics(team)
    is_batting = discipline is not None or any(kind in statistics for kind in _CRICKET_ONLY_STATISTICS)
    is_played = any(statistics.get(kind) for kind in _INNINGS_STATISTICS)
    if not is_batting or not is_played:
        return None
    return Innings(
        team_id=team_id,
        number=number_in_game,
        runs=whole_number(statistics.get("TOTAL_SCORE")),
        outs=whole_number(statistics.get("TOTAL_OUTS")),
        overs=statistics.get("TOTAL_OVERS"),
    )


def _points(statistics: Mapping[str, float]) -> Points:
    goals = _first(statistics, _GOALS)
    behinds = _first(statistics, _BEHINDS)
    total = _first(statistics, _TOTAL)
    if total is None and goals is not None and behinds is not None:
        total = goals * _POINTS_A_GOAL + behinds
    return Points(goals=goals, behinds=behinds, total=total)


def _first(statistics: Mapping[str, float], kinds: tuple[str, ...]) -> int | None:
    return next((whole_number(statistics[kind]) for kind in kinds if kind in statistics), None)


def _counts(points: Points) -> bool:
    return bool(points.goals or points.behinds or points.total)


def _statistics(team: JsonObject) -> Mapping[str, float]:
    """Statistics by type; values come as numbers or as text."""
    return {
        kind.upper(): value
        for entry in parts(part(team, "outcome"), "statistics")
        if (kind := text(entry, "type")) and (value := number(entry.get("value"))) is not None
    }


def _sequence(period: JsonObject, place: int) -> int:
    sequence = whole_number(period.get("sequenceNo"))
    return sequence if sequence is not None else place
