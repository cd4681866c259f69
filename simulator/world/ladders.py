"""Ladders, computed from a grade's results."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from simulator.world.model import Format, Game, Grade, Innings, Pool, Round, Team

Value = int | float
_CRICKET = (
    "played", "won", "lost", "ties", "drawn", "noResults", "byes", "forfeits", "competitionPoints",
    "netRunRate",
)  # fmt: skip
_POINTS = (
    "played", "won", "lost", "drawn", "byes", "forfeits", "pointsFor", "pointsAgainst", "percentage",
    "competitionPoints",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    team: Team
    values: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Table:
    """One ladder; `kind` is PlayHQ's `type`, `rows` in order of rank."""

    kind: str
    pool: Pool | None
    columns: tuple[str, ...]
    rows: list[Row]


@dataclass(slots=True)
class _Tally:
    counts: dict[str, int] = field(default_factory=dict)
    scored: int = 0
    conceded: int = 0
    faced: float = 0.0
    bowled: float = 0.0

    def add(self, key: str, number: int = 1) -> None:
        self.counts[key] = self.counts.get(key, 0) + number


@dataclass(frozen=True, slots=True)
class _Selection:
    """Which games a ladder counts: of one pool, of one kind, or all."""

    label: str
    pool: Pool | None = None
    kind: Format | None = None

    def has_pool(self, game: Game) -> bool:
        return self.pool is None or game.pool is self.pool

    def has_kind(self, game: Game) -> bool:
        return self.kind is None or game.kind is self.kind


def compute_ladders(grade: Grade, rounds: list[Round], today: date) -> list[Table]:
    """The ladders that a grade shows: none for juniors, one a pool, one a game type if it mixes them."""
    if not grade.has_ladder:
        return []
    pools: list[Pool] = []
    for game in _games(rounds):
        if game.pool and game.pool not in pools:
            pools.append(game.pool)
    if pools:
        return [_table(grade, rounds, today, _Selection("overall", pool=pool)) for pool in pools]
    selections = [_Selection("overall")]
    if grade.game_format is Format.MIXED:
        selections += [_Selection(kind.value, kind=kind) for kind in (Format.TWO_DAY, Format.ONE_DAY)]
    return [_table(grade, rounds, today, selection) for selection in selections]


def _games(rounds: list[Round]) -> Iterable[Game]:
    return (game for round_ in rounds for game in round_.games if not game.is_hidden)


def _table(grade: Grade, rounds: list[Round], today: date, selection: _Selection) -> Table:
    entrants = {
        team.id: team
        for game in _games(rounds)
        if selection.has_pool(game)
        for team in (game.home, game.away)
    }
    tallies = {team_id: _Tally() for team_id in entrants}
    for game in _games(rounds):
        if selection.has_pool(game) and selection.has_kind(game):
            _count(game, tallies)
    # A bye belongs to no kind of game.
    for round_ in rounds if selection.kind is None else []:
        for team in round_.byes:
            if team.id in tallies and round_.day < today:
                tallies[team.id].add("byes")
    columns = _CRICKET if grade.game_format.has_innings else _POINTS
    rows = [Row(entrants[team_id], _values(tally, columns)) for team_id, tally in tallies.items()]
    rows.sort(key=lambda row: (-row.values["competitionPoints"], -_quality(row), row.team.id))
    return Table(selection.label, selection.pool, columns, rows)


def _quality(row: Row) -> Value:
    return row.values.get("netRunRate", row.values.get("percentage", 0))


def _count(game: Game, tallies: dict[str, _Tally]) -> None:
    for team, rival in ((game.home, game.away), (game.away, game.home)):
        code = game.outcomes.get(team.id)
        if code is None or team.id not in tallies:
            continue
        tally = tallies[team.id]
        tally.add("played")
        result, points = _classify(code)
        tally.add(result)
        tally.add("competitionPoints", points)
        if code == "LOST_BY_FORFEIT":
            tally.add("forfeits")
        for innings in game.innings:
            _count_innings(innings, team.id, tally)
        if game.scores:
            tally.scored += game.scores[team.id].total
            tally.conceded += game.scores[rival.id].total


def _count_innings(innings: Innings, team_id: str, tally: _Tally) -> None:
    overs = int(innings.overs) + (innings.overs % 1) * 10 / 6
    if innings.team_id == team_id:
        tally.scored += innings.runs
        tally.faced += overs
    else:
        tally.conceded += innings.runs
        tally.bowled += overs


def _classify(code: str) -> tuple[str, int]:
    if code.startswith("WON_OUTRIGHT"):
        return "won", 10
    if code.startswith("WON"):
        return "won", 6
    if code.startswith(("LOST", "LOSS")):
        return "lost", 0
    if code.startswith("TIE"):
        return "ties", 3
    return ("drawn", 3) if code.startswith("DR") else ("noResults", 3)


def _values(tally: _Tally, columns: tuple[str, ...]) -> dict[str, Value]:
    computed: dict[str, Value] = {
        "netRunRate": _rate(tally.scored, tally.faced) - _rate(tally.conceded, tally.bowled),
        "pointsFor": tally.scored,
        "pointsAgainst": tally.conceded,
        "percentage": round(100 * tally.scored / tally.conceded, 2) if tally.conceded else 0,
    }
    return {key: round(computed[key], 3) if key in computed else tally.counts.get(key, 0) for key in columns}


def _rate(runs: int, overs: float) -> float:
    return runs / overs if overs else 0.0
