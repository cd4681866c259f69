"""The invented world: the same every time, as big as asked, with plausible draws and results."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.truth import tell
from simulator.world.draws import draw_rounds
from simulator.world.ids import association_index, make_id, serial_number
from simulator.world.model import Format
from simulator.world.sizes import plan_world
from simulator.world.world import World
from tests.unit.simulator.asking import TODAY, all_fixtures, get, make_simulator, make_world


def test_same_seed_and_day_give_the_same_bytes() -> None:
    first, second = make_simulator(), make_simulator()
    for (_, one), (_, other) in zip(all_fixtures(first), all_fixtures(second), strict=True):
        assert one == other
    index = first.world.association(0)
    target = f"/v1/organisations/{index.id}/seasons"
    assert get(first, target).body == get(second, target).body


def test_another_seed_gives_other_identifiers() -> None:
    one, other = make_world(seed=1), make_world(seed=2)
    assert one.association(0).id != other.association(0).id


def test_the_order_of_questions_does_not_change_the_answers() -> None:
    forwards, backwards = make_world(), make_world()
    grades = [grade for home in forwards.associations() for season in home.seasons for grade in season.grades]
    ids = [grade.id for grade in grades]
    told = {grade.id: [game.id for game in forwards.games(grade)] for grade in grades}
    for home in reversed(list(backwards.associations())):
        for season in reversed(home.seasons):
            for grade in reversed(season.grades):
                assert [game.id for game in backwards.games(grade)] == told[grade.id]
    assert len(set(ids)) == len(ids)


def test_an_id_tells_where_its_record_is_found() -> None:
    record_id = make_id(7, "game", 1, association=300, serial=41)
    assert (association_index(record_id), serial_number(record_id)) == (300, 41)
    assert association_index("not-a-uuid") is None


@given(st.integers(2, 13), st.integers(1, 20))
def test_nobody_plays_twice_a_round(sides: int, rounds: int) -> None:
    for drawn in draw_rounds(range(sides), rounds):
        seen = Counter(chain(drawn.byes, *drawn.pairs))
        assert set(seen) == set(range(sides))
        assert set(seen.values()) == {1}
        assert len(drawn.byes) == sides % 2


@given(st.integers(2, 12))
def test_everybody_meets_everybody_once_a_cycle(sides: int) -> None:
    cycle = sides - 1 + sides % 2
    meetings = [frozenset(pair) for drawn in draw_rounds(range(sides), cycle) for pair in drawn.pairs]
    assert len(meetings) == len(set(meetings)) == sides * (sides - 1) // 2


def test_the_demo_world_has_every_oddity_and_stays_small() -> None:
    world = make_world()
    homes = [home for home in world.associations() if home.tenant == "ca"]
    clubs = {club.id for home in homes for club in home.clubs}
    assert len(homes) >= 4
    assert len(clubs) >= 24
    teams = [team for home in homes for season in home.seasons for team in season.teams]
    assert any(team.club is None for team in teams)
    assert any(team.grade is None for team in teams)
    assert any(not team.is_named for team in teams)
    grades = [grade for home in homes for season in home.seasons for grade in season.grades]
    games = [game for grade in grades for game in world.games(grade)]
    statuses = {game.status for game in games}
    assert {"UPCOMING", "FINAL", "ABANDONED", "CANCELLED", "PENDING"} <= statuses
    outcomes = {code for game in games for code in game.outcomes.values()}
    assert {"WON_BY_FORFEIT", "LOST_BY_FORFEIT", "AWARDED_ON_COUNTBACK"} <= outcomes
    assert any(code.startswith("WON_OUTRIGHT_") for code in outcomes)
    assert {game.kind for game in games} >= {Format.ONE_DAY, Format.TWO_DAY, Format.T20}
    # Whole-grade requests for everybody: seasons and teams, then fixture and ladder.
    assert len(grades) * 2 + 40 < 120
    assert len(games) < 1000


@pytest.mark.parametrize(
    ("size", "teams", "seasons", "grades", "games"),
    [
        ("club", 277, 1, 40, range(1300, 1700)),
        ("association", 277, 8, 40, range(1700, 2100)),
        ("large", 969, 1, 100, range(5500, 7700)),
    ],
)
def test_named_sizes_match_the_volumes(
    size: str, teams: int, seasons: int, grades: int, games: range
) -> None:
    world = make_world(size)
    home = world.association(0)
    shown = [grade for season in home.seasons for grade in season.grades]
    assert sum(len(season.teams) for season in home.seasons) == teams
    assert (len(home.seasons), len(shown)) == (seasons, grades)
    assert sum(len(world.games(grade)) for grade in shown) in games


def test_a_world_of_a_thousand_associations_starts_at_once() -> None:
    world = World(plan_world("fleet", 1000, 5), seed=3, today=TODAY)
    far = world.association(999)
    assert world.find_association(far.id) is far
    assert len(far.clubs) == 6
    assert len(world._associations) == 1


def test_innings_agree_with_the_result() -> None:
    world = make_world("club")
    for season in world.association(0).seasons:
        for grade in season.grades:
            for game in world.games(grade):
                if game.fate or len(game.innings) != 2 or game.kind is Format.TWO_DAY:
                    continue
                runs = {innings.team_id: innings.runs for innings in game.innings}
                winners = [team for team, code in game.outcomes.items() if code == "WON"]
                if winners:
                    assert runs[winners[0]] == max(runs.values())
                else:
                    assert len(set(runs.values())) == 1


def test_outright_results_agree_with_the_innings() -> None:
    world = make_world("club")
    games = [
        game
        for season in world.association(0).seasons
        for grade in season.grades
        for game in world.games(grade)
        if len(game.innings) == 4
    ]
    assert games
    for game in games:
        totals = Counter[str]()
        for innings in game.innings:
            totals[innings.team_id] += innings.runs
        winner = next(team for team, code in game.outcomes.items() if code.startswith("WON_OUTRIGHT"))
        assert totals[winner] == max(totals.values())
        first = {innings.team_id: innings.runs for innings in game.innings[:2]}
        led = "WON" if first[winner] == max(first.values()) else "LOST"
        assert game.outcomes[winner] == f"WON_OUTRIGHT_{led}_ON_FIRST_INNINGS"


def test_ladders_add_up() -> None:
    world = make_world()
    for home in world.associations():
        for season in home.seasons:
            for grade in season.grades:
                for table in world.ladders(grade):
                    assert not grade.is_junior
                    for row in table.rows:
                        values = row.values
                        parts = ("won", "lost", "ties", "drawn", "noResults")
                        assert values["played"] == sum(values.get(part, 0) for part in parts)
                    points = [row.values["competitionPoints"] for row in table.rows]
                    assert points == sorted(points, reverse=True)


def test_days_that_pass_bring_results() -> None:
    world = make_world()
    home = world.association(0)
    before = tell(world, "association", home.id)
    world.advance(7)
    after = tell(world, "association", home.id)

    def final(told: dict[str, list[dict[str, str]]]) -> int:
        return sum(game["status"] == "FINAL" for game in told["games"])

    assert final(after) > final(before)
    assert before["ladders"] != after["ladders"]


def test_two_steps_of_the_clock_equal_one() -> None:
    slow, fast = make_world(), make_world()
    home = slow.association(0)
    for _ in range(9):
        slow.advance(1)
        tell(slow, "association", home.id)
    fast.advance(9)
    assert tell(slow, "association", home.id) == tell(fast, "association", home.id)


def test_seasons_lie_around_the_day() -> None:
    world = make_world(today=date(2031, 5, 7))
    statuses = {season.status(world.today) for season in world.association(0).seasons}
    assert statuses == {"ACTIVE", "COMPLETED", "UPCOMING"}
    season = world.association(0).seasons[0]
    assert season.first_day.weekday() == 5
    assert season.first_day < world.today < season.last_day + timedelta(days=1)
