"""Plans: field by field, and nothing when nothing differs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.changes import Action, FieldChange
from sync.model import Game, LadderRow, Points, Team
from sync.plan import applied, plan_removals, plan_upserts
from tests.unit.sync.engine import game, game_day, grade, played, season, small_world, team


def test_an_unknown_record_is_created() -> None:
    (change,) = plan_upserts([team(1)], {}).changes
    assert (change.action, change.before, change.after) == (Action.CREATED, None, team(1))


def test_an_update_lists_what_differs() -> None:
    moved = replace(game(1), round="Round 2", status="ABANDONED")
    (change,) = plan_upserts([moved], {"game-1": game(1)}).changes
    assert change.action is Action.UPDATED
    assert change.fields == (
        FieldChange("round", "Round 1", "Round 2"),
        FieldChange("status", "UPCOMING", "ABANDONED"),
    )


def test_equal_values_in_another_form_are_no_difference() -> None:
    utc = datetime(2031, 10, 18, 0, 0, tzinfo=UTC)
    here = replace(game_day(date(2031, 10, 18)), utc=utc)
    elsewhere = replace(here, utc=utc.astimezone(timezone(timedelta(hours=11))))
    fetched = replace(
        played(game(1)),
        days=(here,),
        points={"team-1": Points(total=10)},
        outcomes={"team-1": "WON", "team-2": "LOST"},
    )
    stored = replace(
        fetched,
        days=[elsewhere],  # type: ignore[arg-type]
        points=MappingProxyType({"team-1": Points(total=10)}),
        outcomes={"team-2": "LOST", "team-1": "WON"},
        innings=[replace(fetched.innings[0], runs=187.0, overs=41.2)],  # type: ignore[arg-type]
    )
    assert plan_upserts([fetched], {"game-1": stored}).changes == ()


def test_whole_numbers_equal_their_decimals_in_ladders() -> None:
    ladder = next(iter(small_world().ladders.values()))
    stored = replace(
        ladder,
        rows=tuple(
            LadderRow(
                position=row.position,
                team_id=row.team_id,
                values={key: float(str(value)) for key, value in reversed(row.values.items())},  # type: ignore[call-overload]
            )
            for row in ladder.rows
        ),
    )
    assert plan_upserts([ladder], {ladder.id: stored}).changes == ()


def test_a_missing_name_or_day_never_erases_a_known_one() -> None:
    day = date(2031, 10, 18)
    known_season = season(first_day=day, last_day=day)
    known_grade = replace(grade(), first_day=day, last_day=day)
    assert plan_upserts([season()], {"season-1": known_season}).changes == ()
    assert plan_upserts([grade()], {"grade-1": known_grade}).changes == ()
    assert plan_upserts([replace(team(1), name=None)], {"team-1": team(1)}).changes == ()
    (change,) = plan_upserts([replace(grade(), name="A Grade")], {"grade-1": known_grade}).changes
    assert change.after == replace(known_grade, name="A Grade")


def test_a_season_known_only_by_its_id_erases_nothing() -> None:
    bare = season(name="", status="", competition_id=None, competition_name=None, first_day=None)
    assert plan_upserts([bare], {"season-1": season()}).changes == ()


def test_other_missing_values_do_erase() -> None:
    (change,) = plan_upserts([replace(team(1), grade_id=None)], {"team-1": team(1)}).changes
    assert change.fields == (FieldChange("grade_id", "grade-1", None),)


def test_the_age_of_a_season_is_a_hint_and_no_difference() -> None:
    aged = season(updated_at=datetime(2031, 8, 2, tzinfo=UTC))
    assert plan_upserts([aged], {"season-1": season()}).changes == ()


def test_a_removed_game_that_is_seen_again_is_restored() -> None:
    (change,) = plan_upserts([replace(game(1), round="Round 2")], {}, {"game-1": game(1)}).changes
    assert change.action is Action.RESTORED
    assert [field.name for field in change.fields] == ["round"]


def test_a_record_sent_twice_counts_once() -> None:
    plan = plan_upserts([game(1), game(1)], {})
    assert len(plan.changes) == 1
    assert plan.unchanged == 0


def test_a_removal_keeps_what_was_there() -> None:
    (change,) = plan_removals([game(1)], cause="gone").changes
    assert (change.action, change.before, change.after, change.cause) == (
        Action.REMOVED,
        game(1),
        None,
        "gone",
    )


teams = st.builds(
    Team,
    id=st.sampled_from(["team-1", "team-2", "team-3"]),
    name=st.one_of(st.none(), st.text(max_size=3)),
    season_id=st.just("season-1"),
    grade_id=st.one_of(st.none(), st.sampled_from(["grade-1", "grade-2"])),
)


@given(st.lists(teams), st.lists(teams))
def test_applying_a_plan_leaves_nothing_to_plan(before: list[Team], fetched: list[Team]) -> None:
    stored = {record.id: record for record in before}
    once = applied(stored, plan_upserts(fetched, stored))
    again = plan_upserts(fetched, once)
    assert again.changes == ()
    assert again.unchanged == len({record.id for record in fetched})
    for record in fetched[::-1][:1]:
        assert once[record.id].grade_id == record.grade_id


@pytest.mark.parametrize("days", [0, 1, 2])
def test_a_game_lasts_from_its_first_to_its_last_day(days: int) -> None:
    first = date(2031, 10, 18)
    long: Game = replace(
        game(1, day=None), days=tuple(game_day(first + timedelta(days=n)) for n in reversed(range(days)))
    )
    assert (long.first_day, long.last_day) == (
        (first, first + timedelta(days=days - 1)) if days else (None, None)
    )
