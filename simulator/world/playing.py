"""Plays a game: its status, outcomes, innings or score, the same every time for the same game."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

from simulator.world.dice import dice
from simulator.world.model import Format, Game, Innings, Round, Score

_UPCOMING, _PENDING = "UPCOMING", "PENDING"
# Undated games get their days this long before they are meant to be played.
_PUBLISHED_AHEAD = timedelta(days=21)
# One result in five is entered only the week after.
_LATE_RESULTS_EVERY = 5
_LATE_BY = timedelta(days=6)


def settle(rounds: list[Round], today: date) -> None:
    """Publish the days that are near and play everything that is over by `today`."""
    for round_ in rounds:
        for game in round_.games:
            if game.status == _PENDING and game.planned[0].local.date() - today <= _PUBLISHED_AHEAD:
                game.status, game.days = _UPCOMING, game.planned
            if game.status == _UPCOMING and _is_over(game, today):
                play(game)


def play(game: Game) -> None:
    """Play a game once; a second call changes nothing about how it ends."""
    rng = dice("play", game.id)
    if game.days:
        game.updated_at = game.days[-1].start + timedelta(hours=8)
    if game.fate and _meet_fate(game, rng):
        return
    game.status = "FINAL"
    if not game.kind.has_innings:
        _play_for_points(game, rng)
    elif game.kind is Format.TWO_DAY:
        _play_two_days(game, rng)
    else:
        _play_one_day(game, rng)
    if game.fate == "unknown outcome":
        game.outcomes = {game.home.id: "AWARDED_ON_COUNTBACK", game.away.id: "CONCEDED_ON_COUNTBACK"}


def _is_over(game: Game, today: date) -> bool:
    last_day = game.last_day
    if last_day is None:
        return False
    is_late = int(game.id[:4], 16) % _LATE_RESULTS_EVERY == 0
    return today - last_day > (_LATE_BY if is_late else timedelta(0))


def _meet_fate(game: Game, rng: Random) -> bool:
    home, away = game.home.id, game.away.id
    if game.fate == "forfeit":
        winner, loser = (home, away) if rng.random() < 0.5 else (away, home)
        game.status = "FINAL"
        game.outcomes = {winner: "WON_BY_FORFEIT", loser: "LOST_BY_FORFEIT"}
        game.placeholders = 2
    elif game.fate == "abandoned":
        game.status = "ABANDONED"
        game.outcomes = {home: "ABANDONED", away: "ABANDONED"} if rng.random() < 0.5 else {}
        game.placeholders = 1
    elif game.fate == "cancelled":
        game.status = "CANCELLED"
    elif game.fate == "unknown status":
        game.status = "PROTEST_LODGED"
    else:
        return False
    return True


def _play_one_day(game: Game, rng: Random) -> None:
    limit = 20 if game.kind is Format.T20 else 40
    first, second = _toss(game, rng)
    par = 130 if game.kind is Format.T20 else 180
    target = max(30, round(rng.gauss(par, 35)))
    outs = rng.choice((5, 6, 7, 8, 9, 10, 10))
    game.innings = [Innings(first, 1, target, outs, _overs(rng, limit, all_out=outs == 10))]
    drawn = rng.random()
    if drawn < 0.02:
        game.innings.append(Innings(second, 2, target, rng.randint(6, 9), float(limit)))
        game.outcomes = {first: "TIED", second: "TIED"}
    elif drawn < 0.51:
        runs = target + rng.randint(1, 5)
        game.innings.append(Innings(second, 2, runs, rng.randint(1, 9), _overs(rng, limit, all_out=True)))
        game.outcomes = {second: "WON", first: "LOST"}
    else:
        outs = rng.choice((7, 8, 9, 10, 10))
        runs = max(10, target - rng.randint(1, max(1, target // 2)))
        game.innings.append(Innings(second, 2, runs, outs, _overs(rng, limit, all_out=outs == 10)))
        game.outcomes = {first: "WON", second: "LOST"}


def _play_two_days(game: Game, rng: Random) -> None:
    first, second = _toss(game, rng)
    ahead = rng.randint(120, 300)
    behind = rng.randint(60, ahead - 1)
    runs = (ahead, behind) if rng.random() < 0.5 else (behind, ahead)
    game.innings = [
        Innings(first, 1, runs[0], 10, _overs(rng, 80, all_out=True)),
        Innings(second, 2, runs[1], 10, _overs(rng, 80, all_out=True)),
    ]
    leader, trailer = (first, second) if runs[0] > runs[1] else (second, first)
    ending = rng.random()
    if ending < 0.15:
        del game.innings[1:]
        game.placeholders = 3
        game.outcomes = dict.fromkeys((first, second), "DRAWN_NO_FIRST_INNINGS_RESULT")
    elif ending < 0.75:
        game.placeholders = 2
        game.outcomes = {leader: "WON_ON_FIRST_INNINGS", trailer: "LOST_ON_FIRST_INNINGS"}
    else:
        _play_second_innings(game, rng, first, second, leader)


def _play_second_innings(game: Game, rng: Random, first: str, second: str, leader: str) -> None:
    """The trailing side is bowled out again; the leader reaches the target or needs no more."""
    lead = game.innings[0].runs - game.innings[1].runs
    third = rng.randint(60, 160) + max(0, -lead)
    target = lead + third
    game.innings.append(Innings(first, 3, third, 10, _overs(rng, 50, all_out=True)))
    winner, loser = (second, first) if rng.random() < 0.5 else (first, second)
    runs, outs = (target + rng.randint(1, 4), rng.randint(2, 9)) if winner == second else (target // 2, 10)
    game.innings.append(Innings(second, 4, runs, outs, _overs(rng, 45, all_out=True)))
    earlier = ("WON", "LOST") if winner == leader else ("LOST", "WON")
    game.outcomes = {
        winner: f"WON_OUTRIGHT_{earlier[0]}_ON_FIRST_INNINGS",
        loser: f"LOST_OUTRIGHT_{earlier[1]}_ON_FIRST_INNINGS",
    }


def _play_for_points(game: Game, rng: Random) -> None:
    for team in (game.home, game.away):
        if game.kind is Format.AFL:
            goals, behinds = rng.randint(2, 18), rng.randint(2, 15)
            game.scores[team.id] = Score(goals, behinds, goals * 6 + behinds)
        else:
            goals = rng.randint(15, 60)
            game.scores[team.id] = Score(goals, None, goals)
    home, away = (game.scores[team.id].total for team in (game.home, game.away))
    codes = ("DRAW", "DRAW") if home == away else ("WON", "LOST") if home > away else ("LOST", "WON")
    game.outcomes = {game.home.id: codes[0], game.away.id: codes[1]}


def _toss(game: Game, rng: Random) -> tuple[str, str]:
    sides = (game.home.id, game.away.id)
    return sides if rng.random() < 0.5 else (sides[1], sides[0])


def _overs(rng: Random, limit: int, *, all_out: bool) -> float:
    if not all_out:
        return float(limit)
    return rng.randint(limit // 2, limit - 1) + rng.randint(0, 5) / 10
