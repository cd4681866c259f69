"""From a plan to an association: clubs, grounds, seasons, grades, teams."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from simulator.world import names
from simulator.world.dice import dice
from simulator.world.ids import make_id
from simulator.world.model import (
    Association,
    Club,
    Grade,
    Ground,
    Season,
    Team,
)
from simulator.world.plans import AssociationPlan, GradePlan, SeasonPlan

_STATES = {
    "Australia/Sydney": ("NSW", "Australia", 2000),
    "Australia/Melbourne": ("VIC", "Australia", 3000),
    "Australia/Perth": ("WA", "Australia", 6000),
    "Australia/Brisbane": ("QLD", "Australia", 4000),
    "Pacific/Auckland": ("AUK", "New Zealand", 600),
}
_SIDES_OF_HOST = 2
_SPORTS = {"cricket": "Cricket", "afl": "Football"}


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
        name=f"{names.place(index * 5 + 2)} District {_SPORTS[plan.sport]} Association",
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


def _grounds(seed: int, index: int, plan: AssociationPlan) -> list[Ground]:
    rng = dice(seed, "grounds", index)
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
        (grade.rounds * grade.game_format.weeks_a_round for grade in season_plan.grades),
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
        created_at=season.published_at,
        is_named=serial % 9 != 4,
    )
