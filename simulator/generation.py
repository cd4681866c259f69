"""From a plan to an association: clubs, grounds, seasons, grades, teams; and a grade's draw on demand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from random import Random
from zoneinfo import ZoneInfo

from simulator import names
from simulator.draws import draw_rounds
from simulator.ids import make_id
from simulator.model import (
    Association,
    Club,
    Day,
    Format,
    Game,
    Grade,
    Ground,
    Pool,
    Round,
    Season,
    Team,
)
from simulator.plans import AssociationPlan, GradePlan, SeasonPlan

_STATES = {
    "Australia/Sydney": ("NSW", "Australia", 2000),
    "Australia/Melbourne": ("VIC", "Australia", 3000),
    "Australia/Perth": ("WA", "Australia", 6000),
    "Australia/Brisbane": ("QLD", "Australia", 4000),
    "Pacific/Auckland": ("AUK", "New Zealand", 600),
}
# Morning starts in Sydney are Friday evening in UTC.
_STARTS = (time(9, 0), time(10, 30), time(13, 0))
_JUNIOR_START = time(8, 30)
# Games of these grades get a date only when the last round is near.
_LATE_DRAW_EVERY = 5
_SIDES_OF_HOST = 2


def build_clubs(seed: int, index: int, plan: AssociationPlan) -> list[Club]:
    """The clubs whose home the association is."""
    return [
        Club(
            id=make_id(seed, "club", index, serial, association=index, serial=serial),
            name=names.club_name(index * 37 + serial, plan.sport),
            home_association=index,
        )
        for serial in range(plan.clubs)
    ]


def build_association(
    seed: int, index: int, plan: AssociationPlan, clubs: Sequence[Club], first_day: date
) -> Association:
    """Everything but the draws. `clubs` are the home clubs and the guests, `first_day` the world's first."""
    association = Association(
        seed=seed,
        index=index,
        id=make_id(seed, "association", index, association=index),
        name=f"{names.place(index * 5 + 2)} District {plan.sport.title()} Association",
        tenant=plan.tenant,
        sport=plan.sport,
        zone=plan.zone,
        clubs=list(clubs),
        grounds=_grounds(seed, index, plan),
    )
    for serial, season_plan in enumerate(plan.seasons):
        association.seasons.append(_season(association, season_plan, serial, first_day))
        _enter_teams(association.seasons[-1], plan, season_plan)
    return association


def draw_grade(grade: Grade) -> list[Round]:
    """The whole draw of a grade, nothing played yet."""
    season = grade.season
    seed, index = season.association.seed, season.association.index
    rounds = [
        Round(
            id=make_id(seed, "round", grade.id, number, association=index, serial=grade.serial),
            number=number,
            day=season.first_day + timedelta(weeks=(number - 1) * _weeks_a_round(grade.game_format)),
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


def _weeks_a_round(game_format: Format) -> int:
    return 2 if game_format is Format.TWO_DAY else 1


def _grounds(seed: int, index: int, plan: AssociationPlan) -> list[Ground]:
    rng = Random(f"{seed}/grounds/{index}")  # noqa: S311
    state, country, postcode = _STATES[plan.zone]
    grounds = []
    for serial in range(max(4, plan.clubs)):
        suburb = names.place(index * 11 + serial)
        grounds.append(
            Ground(
                id=make_id(seed, "ground", index, serial, association=index),
                name=f"Oval {serial % 2 + 1}",
                short_name=f"OV{serial % 2 + 1}",
                venue_id=make_id(seed, "venue", index, serial // 2, association=index),
                venue_name=f"{names.place(index * 11 + serial // 2 * 2)} Reserve",
                zone=plan.zone,
                suburb=suburb,
                state=state,
                country=country,
                postcode=postcode + serial,
                latitude=round(-33 - rng.random() * 5, 5),
                longitude=round(115 + rng.random() * 35, 5),
                is_text=serial % 4 == 3,
            )
        )
    return grounds


def _season(association: Association, season_plan: SeasonPlan, serial: int, first_day: date) -> Season:
    # The Saturday on or before the world's first day anchors every season.
    saturday = first_day - timedelta(days=(first_day.weekday() - 5) % 7)
    starts = saturday + timedelta(weeks=season_plan.starts_in_weeks)
    weeks = max(
        (grade.rounds * _weeks_a_round(grade.game_format) for grade in season_plan.grades),
        default=season_plan.lasts_weeks,
    )
    seed, index = association.seed, association.index
    season = Season(
        id=make_id(seed, "season", index, serial, association=index, serial=serial),
        name=_season_name(starts),
        competition_id=make_id(seed, "competition", index, season_plan.competition, association=index),
        competition_name=season_plan.competition,
        association=association,
        first_day=starts,
        last_day=starts + timedelta(weeks=max(weeks, 1) - 1, days=1),
        is_listed=season_plan.is_listed,
        is_in_club_listings=season_plan.is_in_club_listings,
    )
    grade_serial = sum(len(earlier.grades) for earlier in association.seasons)
    for number, grade_plan in enumerate(season_plan.grades):
        season.grades.append(_grade(season, grade_plan, grade_serial + number))
    return season


def _season_name(starts: date) -> str:
    """As southern sport names them; two competitions share a name, as in real data."""
    if 4 <= starts.month <= 7:
        return f"Winter {starts.year}"
    first = starts.year if starts.month >= 8 else starts.year - 1
    return f"Summer {first}/{(first + 1) % 100:02d}"


def _grade(season: Season, plan: GradePlan, serial: int) -> Grade:
    seed, index = season.association.seed, season.association.index
    return Grade(
        id=make_id(seed, "grade", index, serial, association=index, serial=serial),
        serial=serial,
        name=plan.name,
        season=season,
        game_format=plan.game_format,
        rounds_count=plan.rounds,
        pools_count=plan.pools,
        is_junior=plan.is_junior,
        is_hidden=plan.is_hidden,
    )


def _enter_teams(season: Season, plan: AssociationPlan, season_plan: SeasonPlan) -> None:
    """Deal the places to the clubs in turn; two grades in a row share a club that has two sides in each."""
    clubs = season.association.clubs
    places: list[tuple[Grade | None, int]] = [
        (grade, place)
        for grade, grade_plan in zip(season.grades, season_plan.grades, strict=True)
        for place in range(grade_plan.teams)
    ]
    places += [(None, place) for place in range(season_plan.ungraded_teams)]
    sides_of: dict[str, int] = {}
    turn = 0
    for serial, (grade, place) in enumerate(places):
        if grade and place < _SIDES_OF_HOST:
            club = clubs[season.grades.index(grade) // 2 % len(clubs)]
        else:
            club = clubs[turn % len(clubs)]
            turn += 1
        number = sides_of.get(club.id, 0)
        sides_of[club.id] = number + 1
        is_clubless = plan.has_clubless_team and serial == 3
        team = _team(season, grade, None if is_clubless else club, number)
        season.teams.append(team)
        if grade:
            grade.entrants.append(team)


def _team(season: Season, grade: Grade | None, club: Club | None, number: int) -> Team:
    owner, serial = season.association, len(season.teams)
    name = "Invitation XI"
    if club:
        is_junior = bool(grade and grade.is_junior)
        name = names.team_name(
            club.name, number, is_junior=is_junior, label=grade.name if grade else "Senior"
        )
    return Team(
        id=make_id(owner.seed, "team", season.id, serial, association=owner.index, serial=serial),
        name=name,
        season=season,
        club=club,
        grade=grade,
        created_at=_published(season),
        is_named=serial % 9 != 4,
    )


def _published(season: Season) -> datetime:
    created = datetime.combine(season.first_day - timedelta(days=40), time(2, 0))
    return created.replace(tzinfo=ZoneInfo("UTC"))


def _game(grade: Grade, round_: Round, home: Team, away: Team, pool: Pool | None) -> Game:
    owner, serial = grade.season.association, len(round_.games)
    game_id = make_id(
        owner.seed, "game", grade.id, round_.number, serial, association=owner.index, serial=grade.serial
    )
    rng = Random(game_id)  # noqa: S311  (a draw, not a secret)
    kind = _kind(grade.game_format, round_.number)
    planned = _days(grade, round_, kind, rng)
    is_undated = grade.serial % _LATE_DRAW_EVERY == 4 and round_.is_final and serial == 0
    published = _published(grade.season)
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
