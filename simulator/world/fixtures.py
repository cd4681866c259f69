"""A grade's draw: rounds a week or two apart, days, grounds, and what befalls some of the games."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from simulator.world.dice import dice
from simulator.world.draws import draw_rounds
from simulator.world.ids import make_id
from simulator.world.model import Day, Format, Game, Grade, Pool, Round, Team

# Morning starts in Sydney are Friday evening in UTC.
_STARTS = (time(9, 0), time(10, 30), time(13, 0))
_JUNIOR_START = time(8, 30)
# Games of these grades get a date only when the last round is near.
_LATE_DRAW_EVERY = 5


def draw_grade(grade: Grade) -> list[Round]:
    """The whole draw of a grade, nothing played yet."""
    season = grade.season
    seed, index = season.association.seed, season.association.index
    rounds = [
        Round(
            id=make_id(seed, "round", grade.id, number, association=index, serial=grade.serial),
            number=number,
            day=season.first_day + timedelta(weeks=(number - 1) * grade.game_format.weeks_a_round),
            is_final=number == grade.rounds_count,
        )
        for number in range(1, grade.rounds_count + 1)
    ]
    for pool, entrants in _groups(grade):
        for round_, pairings in zip(rounds, draw_rounds(entrants, grade.rounds_count), strict=True):
            round_.byes.extend(pairings.byes)
            for home, away in pairings.pairs:
                round_.games.append(_game(grade, round_, home, away, pool))
    return rounds


def _groups(grade: Grade) -> list[tuple[Pool | None, list[Team]]]:
    """The entrants by pool; one group without a name where there are no pools."""
    count = grade.pools_count
    if count == 1:
        return [(None, grade.entrants)]
    owner = grade.season.association
    return [
        (
            Pool(
                make_id(owner.seed, "pool", grade.id, number, association=owner.index),
                f"Pool {chr(ord('A') + number)}",
            ),
            grade.entrants[number::count],
        )
        for number in range(count)
    ]


def _game(grade: Grade, round_: Round, home: Team, away: Team, pool: Pool | None) -> Game:
    owner, serial = grade.season.association, len(round_.games)
    game_id = make_id(
        owner.seed, "game", grade.id, round_.number, serial, association=owner.index, serial=grade.serial
    )
    rng = dice(game_id)
    kind = _kind(grade.game_format, round_.number)
    planned = _days(grade, round_, kind, rng)
    is_undated = grade.serial % _LATE_DRAW_EVERY == 4 and round_.is_final and serial == 0
    published = grade.season.published_at
    return Game(
        id=game_id,
        grade=grade,
        round=round_,
        home=home,
        away=away,
        kind=kind,
        pool=pool,
        planned=planned,
        days=[] if is_undated else planned,
        created_at=published,
        updated_at=published,
        status="PENDING" if is_undated else "UPCOMING",
        fate=_fate(grade, round_, serial, rng),
    )


def _kind(game_format: Format, round_number: int) -> Format:
    if game_format is Format.MIXED:
        return Format.ONE_DAY if round_number % 2 else Format.TWO_DAY
    return game_format


def _days(grade: Grade, round_: Round, kind: Format, rng: Random) -> list[Day]:
    ground = rng.choice(grade.season.association.grounds)
    start = _JUNIOR_START if grade.is_junior else _STARTS[grade.serial % len(_STARTS)]
    zone = ZoneInfo(ground.zone)
    offsets = [0]
    if kind is Format.TWO_DAY:
        # A mixed grade plays the whole weekend, a two-day grade two Saturdays.
        offsets = [0, 1 if grade.game_format is Format.MIXED else 7]
    return [
        Day(
            datetime.combine(round_.day + timedelta(days=offset), start, zone).astimezone(ZoneInfo("UTC")),
            ground,
        )
        for offset in offsets
    ]


def _fate(grade: Grade, round_: Round, serial: int, rng: Random) -> str | None:
    """Every fourth grade has a forfeit, an abandoned, a cancelled or an oddly coded game early on."""
    chance = rng.random()
    placed = {
        (0, 2, 0): "forfeit",
        (1, 1, 1): "abandoned",
        (2, 2, 0): "cancelled",
        (3, 1, 0): "unknown outcome",
        (0, 3, 1): "unknown status",
    }.get((grade.serial % 4, round_.number, serial))
    if placed:
        return placed
    if chance < 0.01:
        return "forfeit"
    return "abandoned" if chance < 0.03 else None
