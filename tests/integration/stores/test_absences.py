"""Which games a complete listing has lacked, told at once."""

from __future__ import annotations

from datetime import date, timedelta

from stores.sql.stores import SqlStores

DAY = date(2031, 10, 18)


def test_all_games_that_were_ever_missing_are_found_once_each(stores: SqlStores) -> None:
    assert stores.absences.find_all(most=10) == set()
    for number in range(2):
        stores.absences.record(
            "grade-1", missing=["game-1", "game-2"], present=[], day=DAY + timedelta(days=number)
        )
    assert stores.absences.find_all(most=2) == {"game-1", "game-2"}


def test_too_many_to_look_through_are_not_told(stores: SqlStores) -> None:
    stores.absences.record("grade-1", missing=["game-1", "game-2"], present=[], day=DAY)
    assert stores.absences.find_all(most=1) is None


def test_a_game_that_is_seen_again_is_found_no_more(stores: SqlStores) -> None:
    stores.absences.record("grade-1", missing=["game-1"], present=[], day=DAY)
    stores.absences.record("grade-1", missing=[], present=["game-1"], day=DAY)
    assert stores.absences.find_all(most=10) == set()
