"""How big the invented world is: plans of every named size.

The sizes are those of the service's volumes: a small club, a club, an association
of 277 teams, a large one of 969; `demo` is small and has every oddity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from simulator.world.model import Format
from simulator.world.plans import ZONES, AssociationPlan, GradePlan, SeasonPlan


def plan_world(size: str, associations: int | None, clubs: int | None) -> tuple[AssociationPlan, ...]:
    """The plans of a named size; `associations` and `clubs` (of each) override its own counts.

    Raises KeyError for a size that is not in SIZES.
    """
    plans = SIZES[size]()
    if associations is not None:
        plans = tuple(_vary(plans[index % len(plans)], index) for index in range(associations))
    if clubs is not None:
        plans = tuple(replace(plan, clubs=clubs, guests=min(plan.guests, clubs)) for plan in plans)
    return plans


def _vary(plan: AssociationPlan, index: int) -> AssociationPlan:
    is_cricket = plan.tenant == "ca"
    return replace(plan, zone=ZONES[index % len(ZONES)] if is_cricket else plan.zone, guests=plan.guests or 1)


def _demo() -> tuple[AssociationPlan, ...]:
    """Four cricket associations of different sizes, and two of other tenants."""
    last_year = SeasonPlan(competition="Senior Competition", starts_in_weeks=-57, grades=_seniors(2, 6, 10))
    busy = AssociationPlan(
        clubs=10,
        has_clubless_team=True,
        seasons=(
            SeasonPlan(
                competition="Senior Competition",
                starts_in_weeks=-6,
                ungraded_teams=2,
                grades=(
                    GradePlan(name="A Grade", teams=8, rounds=11),
                    GradePlan(name="B Grade", teams=8, rounds=7, game_format=Format.TWO_DAY),
                    GradePlan(name="C Grade", teams=7, rounds=11, game_format=Format.MIXED),
                    GradePlan(name="Selectors Grade", teams=4, rounds=3, is_hidden=True),
                ),
            ),
            SeasonPlan(competition="Junior Competition", starts_in_weeks=-5, grades=_juniors(4, 7, 10)),
            SeasonPlan(
                competition="Twilight Cup",
                starts_in_weeks=-5,
                grades=(GradePlan(name="Twilight", teams=6, rounds=5, game_format=Format.T20),),
                is_in_club_listings=False,
            ),
            SeasonPlan(competition="Winter Competition", starts_in_weeks=20, lasts_weeks=12),
            last_year,
        ),
    )
    tiny = AssociationPlan(
        zone="Australia/Perth",
        clubs=4,
        seasons=(
            SeasonPlan(competition="Town Competition", starts_in_weeks=-4, grades=_seniors(2, 4, 9)),
            SeasonPlan(
                competition="Country Week",
                starts_in_weeks=3,
                grades=(GradePlan(name="Country Week", teams=4, rounds=3, game_format=Format.T20),),
                is_listed=False,
            ),
        ),
    )
    middling = AssociationPlan(
        zone="Australia/Melbourne",
        clubs=8,
        seasons=(
            SeasonPlan(
                competition="District Competition",
                starts_in_weeks=-5,
                grades=(
                    GradePlan(name="Premier", teams=8, rounds=7, game_format=Format.TWO_DAY),
                    GradePlan(name="Division 1", teams=10, rounds=10, pools=2),
                    GradePlan(name="Division 2", teams=7, rounds=11),
                ),
            ),
            SeasonPlan(competition="District Juniors", starts_in_weeks=-4, grades=_juniors(2, 6, 10)),
        ),
    )
    neighbour = AssociationPlan(
        zone="Australia/Melbourne",
        clubs=6,
        guests=3,
        seasons=(
            SeasonPlan(competition="Sunday Competition", starts_in_weeks=-5, grades=_seniors(3, 6, 10)),
            SeasonPlan(competition="Sunday Competition", starts_in_weeks=-57, grades=_seniors(1, 6, 10)),
        ),
    )
    football = AssociationPlan(
        tenant="afl",
        sport="afl",
        zone="Australia/Melbourne",
        clubs=6,
        seasons=(
            SeasonPlan(competition="Football", starts_in_weeks=-5, grades=_points(Format.AFL)),
            SeasonPlan(competition="Netball", starts_in_weeks=-5, grades=_points(Format.NETBALL)),
        ),
    )
    island = AssociationPlan(
        tenant="nzc",
        zone="Pacific/Auckland",
        clubs=6,
        seasons=(SeasonPlan(competition="Saturday Cricket", starts_in_weeks=-5, grades=_seniors(2, 6, 10)),),
    )
    return busy, tiny, middling, neighbour, football, island


def _small_club() -> tuple[AssociationPlan, ...]:
    """Five competitions with a club that enters about seven teams."""
    seasons = tuple(
        SeasonPlan(competition=name, starts_in_weeks=-6, grades=grades)
        for name, grades in (
            ("Senior Competition", _seniors(2, 8, 14)),
            ("Junior Competition", _juniors(2, 8, 10)),
            ("Twilight Cup", _seniors(1, 8, 10)),
            ("Sunday Competition", _seniors(1, 8, 10)),
            ("Veterans", _seniors(1, 8, 10)),
        )
    )
    return (AssociationPlan(clubs=8, seasons=seasons),)


def _club() -> tuple[AssociationPlan, ...]:
    """Two associations whose one season has 277 teams in 40 grades."""
    season = SeasonPlan(
        competition="Open Competition",
        starts_in_weeks=-6,
        grades=(*_seniors(17, 7, 14), *_juniors(22, 7, 12), GradePlan(name="Colts", teams=4, rounds=9)),
    )
    return (
        AssociationPlan(clubs=23, seasons=(season,)),
        AssociationPlan(clubs=23, guests=6, seasons=(season,)),
    )


def _association() -> tuple[AssociationPlan, ...]:
    """277 teams in 8 seasons, 40 grades, about 1,900 games."""
    seasons = tuple(
        SeasonPlan(
            competition=f"{day} Competition",
            starts_in_weeks=-6,
            grades=(*_seniors(3, 7, 17), *_juniors(1, 7, 14), *_juniors(1, 6 if index < 3 else 7, 14)),
        )
        for index, day in enumerate(
            ("Saturday", "Sunday", "Twilight", "Junior", "Women's", "Veterans", "Social", "Festival")
        )
    )
    return (AssociationPlan(clubs=24, seasons=seasons, has_clubless_team=True),)


def _large() -> tuple[AssociationPlan, ...]:
    """969 teams in one season: 687 in 100 grades of about seven teams, 282 not placed yet."""
    grades = (*_seniors(30, 7, 20), *_juniors(57, 7, 20), *_juniors(13, 6, 20))
    season = SeasonPlan(
        competition="Junior League", starts_in_weeks=-6, ungraded_teams=282, grades=_numbered(grades)
    )
    return (AssociationPlan(clubs=60, seasons=(season,)),)


def _fleet() -> tuple[AssociationPlan, ...]:
    """A middling association, to be multiplied: 84 teams in 12 grades of 2 seasons."""
    seasons = (
        SeasonPlan(competition="Senior Competition", starts_in_weeks=-6, grades=_seniors(6, 7, 12)),
        SeasonPlan(competition="Junior Competition", starts_in_weeks=-6, grades=_juniors(6, 7, 10)),
    )
    return (AssociationPlan(clubs=12, guests=1, seasons=seasons),)


def _seniors(count: int, teams: int, rounds: int) -> tuple[GradePlan, ...]:
    formats = (Format.ONE_DAY, Format.TWO_DAY, Format.ONE_DAY, Format.T20)
    return tuple(
        GradePlan(
            name=f"{chr(ord('A') + index % 26)}{index // 26 + 1 if index > 25 else ''} Grade",
            teams=teams,
            rounds=rounds,
            game_format=formats[index % len(formats)],
        )
        for index in range(count)
    )


def _juniors(count: int, teams: int, rounds: int) -> tuple[GradePlan, ...]:
    ages = (10, 11, 12, 13, 14, 15, 16, 17)
    return tuple(
        GradePlan(
            name=f"U{ages[index % len(ages)]} Div {index // len(ages) + 1}",
            teams=teams,
            rounds=rounds,
            game_format=Format.T20 if index % 3 == 0 else Format.ONE_DAY,
            is_junior=True,
        )
        for index in range(count)
    )


def _points(game_format: Format) -> tuple[GradePlan, ...]:
    return (
        GradePlan(name="Division 1", teams=6, rounds=12, game_format=game_format),
        GradePlan(name="U12 Div 2", teams=5, rounds=10, game_format=game_format, is_junior=True),
    )


def _numbered(grades: tuple[GradePlan, ...]) -> tuple[GradePlan, ...]:
    return tuple(replace(grade, name=f"{grade.name} {index + 1:03d}") for index, grade in enumerate(grades))


SIZES: Mapping[str, Callable[[], tuple[AssociationPlan, ...]]] = {
    "demo": _demo,
    "small-club": _small_club,
    "club": _club,
    "association": _association,
    "large": _large,
    "fleet": _fleet,
}
