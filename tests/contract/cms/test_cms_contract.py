"""What every CMS adapter promises; `sync.ports.Cms` says it in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import pytest

from sync.changes import Action, Change
from sync.errors import LeaseLost, NotFound
from sync.model import Grade, Organisation, OrganisationKind, Record, Season, Team
from sync.ports import Cms, Fence, FindsRecords, Quarantined
from sync.report import Stage
from tests.contract.cms.conftest import Bench
from tests.records import created, game, grade, ladder, removed, restored, season, team, updated

DAY = date(2031, 10, 20)
FENCE = Fence("playhq:club-1", 5)
FAMILY: tuple[Record, ...] = (
    season(),
    grade(),
    team("home"),
    team("away", name="Terns", club_id="club-2"),
    game(),
    ladder(),
)


def apply(cms: Cms, *changes: Change, run_id: str = "run-1") -> Sequence[Quarantined]:
    return cms.apply(run_id, Stage.GAMES, changes, fence=FENCE)


@pytest.fixture
def filled(cms: Cms) -> Cms:
    assert apply(cms, *map(created, FAMILY)) == []
    return cms


def test_account_is_found_with_its_organisation(bench: Bench) -> None:
    account = bench.cms.find_account(bench.add_account())

    assert account.organisation.id == "club-1"
    assert account.organisation.kind is OrganisationKind.CLUB
    assert account.organisation.association_ids == ("association-1",)
    assert not account.is_setup


def test_records_are_found_wherever_they_belong(filled: Cms) -> None:
    assert isinstance(filled, FindsRecords)
    assert filled.find_records(Season, ["season-1", "season-2"]) == {"season-1": season()}
    assert filled.find_records(Grade, ["grade-1"]) == {"grade-1": grade()}
    assert filled.find_records(Team, ["home", "grade-1"]) == {"home": team("home")}


def test_whose_a_season_is_stays_noted(cms: Cms) -> None:
    assert isinstance(cms, FindsRecords)
    apply(cms, created(season(provider="playhq")))
    apply(cms, updated(season(provider="playhq"), season(name="Summer", provider="playhq")))
    (stored,) = cms.find_records(Season, ["season-1"]).values()
    assert (stored.name, stored.provider) == ("Summer", "playhq")


def test_unknown_account_is_not_found(cms: Cms) -> None:
    with pytest.raises(NotFound):
        cms.find_account(404)
    with pytest.raises(NotFound):
        cms.set_flags(404, is_setup=True)


def test_flags_change_one_by_one(bench: Bench) -> None:
    account_id = bench.add_account()
    bench.cms.set_flags(account_id, is_updating=True)
    bench.cms.set_flags(account_id, is_setup=True)
    bench.cms.set_flags(account_id, is_updating=False)

    account = bench.cms.find_account(account_id)
    assert (account.is_setup, account.is_updating) == (True, False)


def test_organisation_that_was_never_seen_is_none(cms: Cms) -> None:
    assert cms.find_organisation(OrganisationKind.CLUB, "club-9") is None


def test_learned_associations_are_remembered_and_never_forgotten(cms: Cms) -> None:
    club = Organisation(
        id="club-2",
        kind=OrganisationKind.CLUB,
        provider="playhq",
        name="Terns",
        association_ids=("association-1",),
    )
    cms.save_organisation(club)
    cms.save_organisation(replace(club, name=None, association_ids=()))

    assert cms.find_organisation(OrganisationKind.CLUB, "club-2") == club
    assert cms.find_organisation(OrganisationKind.ASSOCIATION, "club-2") is None


def test_records_come_back_as_they_were_written(filled: Cms) -> None:
    assert filled.read_seasons(["association-1"]) == {"season-1": season()}
    assert filled.read_grades(["season-1"]) == {"grade-1": grade()}
    assert filled.read_teams(["season-1"]) == {record.id: record for record in FAMILY[2:4]}
    assert filled.read_games(["grade-1"]) == {"game-1": game()}
    assert filled.find_games(["game-1", "game-9"]) == {"game-1": game()}
    assert filled.read_ladders(["grade-1"]) == {ladder().id: ladder()}


def test_bare_records_come_back_as_they_were_written(filled: Cms) -> None:
    bare_season = season("season-2", competition_id=None, competition_name=None, first_day=None)
    bare_team = team("lonely", name=None, club_id=None, club_name=None, grade_id=None)
    bare_game = game("game-2", round=None, type=None, days=(), outcomes={}, innings=(), points={}, url=None)
    apply(filled, created(bare_season), created(bare_team), created(bare_game))

    assert filled.read_seasons(["association-1"])["season-2"] == bare_season
    assert filled.read_teams(["season-1"])["lonely"] == bare_team
    assert filled.find_games(["game-2"]) == {"game-2": bare_game}


def test_reading_nothing_answers_nothing(filled: Cms) -> None:
    assert not filled.read_games([])
    assert not filled.read_seasons(["association-9"])


def test_update_writes_the_record_as_it_is_now(filled: Cms) -> None:
    moved = game(round="Semi Final", outcomes={})
    apply(filled, updated(game(), moved))

    assert filled.read_games(["grade-1"]) == {"game-1": moved}


def test_game_follows_its_grade(filled: Cms) -> None:
    apply(filled, created(grade("grade-2")), updated(game(), game(grade_id="grade-2")))

    assert not filled.read_games(["grade-1"])
    assert list(filled.read_games(["grade-2"])) == ["game-1"]


def test_order_of_the_changes_does_not_matter(cms: Cms) -> None:
    assert apply(cms, *map(created, reversed(FAMILY))) == []
    assert cms.read_games(["grade-1"]) == {"game-1": game()}


def test_game_whose_team_is_unknown_is_refused_and_the_rest_is_stored(filled: Cms) -> None:
    refused = apply(
        filled, created(game("game-2", away_id="stranger")), created(game("game-3")), created(team("new"))
    )

    assert [quarantined.record_id for quarantined in refused] == ["game-2"]
    assert "stranger" in refused[0].reason
    assert set(filled.read_games(["grade-1"])) == {"game-1", "game-3"}
    assert "new" in filled.read_teams(["season-1"])


def test_children_of_a_refused_record_are_refused_with_it(cms: Cms) -> None:
    refused = apply(cms, created(grade()), created(ladder()))

    assert {quarantined.record_id for quarantined in refused} == {"grade-1", ladder().id}
    assert not cms.read_grades(["season-1"])


def test_refused_change_is_not_counted_as_written(filled: Cms) -> None:
    apply(filled, created(game("game-2", away_id="stranger")), run_id="run-2")

    assert not filled.count_changes("run-2")


def test_removed_game_is_hidden_and_can_be_restored(filled: Cms) -> None:
    apply(filled, removed(game()))
    hidden = (filled.read_games(["grade-1"]), filled.find_games(["game-1"]))
    remembered = filled.read_removed_games(["game-1", "game-9"])
    apply(filled, restored(game()))

    assert hidden == ({}, {})
    assert remembered == {"game-1": game()}
    assert filled.read_games(["grade-1"]) == {"game-1": game()}
    assert not filled.read_removed_games(["game-1"])


def test_applying_the_same_changes_again_changes_and_counts_nothing(filled: Cms) -> None:
    before = filled.count_changes("run-1")
    apply(filled, *map(created, FAMILY))

    assert filled.count_changes("run-1") == before == {Stage.GAMES: {Action.CREATED: 6}}


def test_record_written_twice_by_a_stage_counts_once(filled: Cms) -> None:
    once, twice = game(round="Round 4"), game(round="Round 5")
    apply(filled, updated(game(), once), run_id="run-2")
    apply(filled, updated(once, twice), created(team("new")), run_id="run-2")
    filled.apply("run-2", Stage.TEAMS, [updated(team(), team(name="Hawks"))], fence=FENCE)

    assert filled.count_changes("run-2") == {
        Stage.GAMES: {Action.UPDATED: 1, Action.CREATED: 1},
        Stage.TEAMS: {Action.UPDATED: 1},
    }


def test_dry_run_writes_and_counts_nothing(filled: Cms) -> None:
    filled.record_plan("run-2", Stage.GAMES, [removed(game()), created(game("game-2"))])

    assert filled.read_games(["grade-1"]) == {"game-1": game()}
    assert not filled.count_changes("run-2")


def test_writer_whose_lease_passed_on_writes_nothing(filled: Cms) -> None:
    filled.apply("run-2", Stage.GAMES, [], fence=replace(FENCE, token=FENCE.token + 1))

    with pytest.raises(LeaseLost):
        apply(filled, created(team("late")))
    assert "late" not in filled.read_teams(["season-1"])


def test_fences_of_other_accounts_do_not_matter(filled: Cms) -> None:
    filled.apply("run-2", Stage.GAMES, [], fence=Fence("playhq:club-2", 99))

    assert apply(filled, created(team("new"))) == []


def test_grades_with_recent_games_of_a_team_are_found(filled: Cms) -> None:
    apply(
        filled,
        created(grade("grade-2")),
        created(grade("grade-3")),
        created(game("undated", grade_id="grade-2", days=())),
        created(game("gone", grade_id="grade-3")),
    )
    apply(filled, removed(game("gone", grade_id="grade-3")))
    last_day = date(2031, 10, 25)

    assert set(filled.find_game_grades(["away"], since=last_day)) == {"grade-1", "grade-2"}
    assert set(filled.find_game_grades(["home"], since=last_day + timedelta(days=1))) == {"grade-2"}
    assert not filled.find_game_grades(["stranger"], since=last_day)


def test_absences_count_different_days_only(cms: Cms) -> None:
    def absent(day: date) -> int:
        return cms.record_absences("grade-1", missing=["game-1"], present=[], day=day)["game-1"]

    assert [absent(DAY), absent(DAY), absent(DAY + timedelta(days=1)), absent(DAY)] == [1, 1, 2, 2]


def test_game_that_is_seen_again_counts_from_zero(cms: Cms) -> None:
    cms.record_absences("grade-1", missing=["game-1", "game-2"], present=[], day=DAY)
    cms.record_absences("grade-1", missing=["game-2"], present=["game-1"], day=DAY + timedelta(days=1))

    assert cms.record_absences(
        "grade-1", missing=["game-1", "game-2"], present=[], day=DAY + timedelta(days=2)
    ) == {"game-1": 1, "game-2": 3}


def test_dry_run_counts_absences_without_recording_them(cms: Cms) -> None:
    cms.record_absences("grade-1", missing=["game-1"], present=[], day=DAY)
    later = DAY + timedelta(days=1)

    assert cms.count_absences("grade-1", missing=["game-1", "game-2"], day=DAY) == {"game-1": 1, "game-2": 1}
    assert cms.count_absences("grade-1", missing=["game-1"], day=later) == {"game-1": 2}
    assert cms.record_absences("grade-1", missing=["game-1"], present=[], day=later) == {"game-1": 2}


def test_listing_that_lacks_nothing_answers_nothing(cms: Cms) -> None:
    assert not cms.record_absences("grade-1", missing=[], present=["game-1"], day=DAY)


def test_big_grade_is_written_and_read_whole(bench: Bench, filled: Cms) -> None:
    games = {f"g{number}": game(f"g{number}") for number in range(bench.many)}
    apply(filled, *map(created, games.values()))

    assert filled.find_games(games) == games
