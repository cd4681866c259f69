"""Two providers that use the same ids: neither overwrites, removes or counts what is the other's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from sync.model import Organisation, OrganisationKind
from sync.report import Mode, Outcome, Run
from tests.fakes import World
from tests.unit.sync.engine import Engine, game, grade, season, small_world, team

OTHER = "tennis"
COURTS = "courts"


def foreign_world() -> World:
    """A season of another provider, with ids of its own."""
    world = World()
    world.seasons["tennis-1"] = season(id="tennis-1", association_id=COURTS)
    world.grades["tennis-2"] = replace(grade(), id="tennis-2", season_id="tennis-1", name="Singles")
    for team_id in ("tennis-3", "tennis-4"):
        entered = replace(team(1), id=team_id, season_id="tennis-1", grade_id="tennis-2", club_id=None)
        world.teams[team_id] = entered
    served = replace(game(1), id="tennis-5", grade_id="tennis-2", home_id="tennis-3", away_id="tennis-4")
    world.games["tennis-5"] = served
    return world


def same_season(world: World) -> None:
    del world.seasons["tennis-1"]
    world.seasons["season-1"] = season(association_id=COURTS)
    world.grades = {key: replace(grade, season_id="season-1") for key, grade in world.grades.items()}
    world.teams = {key: replace(team, season_id="season-1") for key, team in world.teams.items()}


def same_grade(world: World) -> None:
    world.grades = {"grade-1": replace(world.grades["tennis-2"], id="grade-1")}
    world.games = {key: replace(game, grade_id="grade-1") for key, game in world.games.items()}


def same_team(world: World) -> None:
    world.teams["team-1"] = replace(world.teams.pop("tennis-3"), id="team-1")
    world.games["tennis-5"] = replace(world.games["tennis-5"], home_id="team-1")


def same_unlisted_team(world: World) -> None:
    same_team(world)
    del world.teams["team-1"]


def same_game(world: World) -> None:
    world.games["game-4"] = replace(world.games.pop("tennis-5"), id="game-4")


def same_everything(world: World) -> None:
    same_season(world)
    same_grade(world)
    same_team(world)
    world.games["game-4"] = replace(world.games.pop("tennis-5"), id="game-4")


CLASHES = [same_season, same_grade, same_team, same_unlisted_team, same_game, same_everything]


@pytest.fixture
def engine() -> Engine:
    engine = Engine(world=small_world())
    engine.sources.others[OTHER] = foreign_world()
    engine.cms.save_organisation(
        Organisation(id=COURTS, kind=OrganisationKind.ASSOCIATION, provider=OTHER, name="Courts")
    )
    return engine


def sync_other(engine: Engine, preset: str = "full") -> Run:
    return engine.perform(engine.request(Mode.ASSOCIATION_DIRECT, organisation_id=COURTS, preset=preset))


def test_ids_of_their_own_disturb_nobody(engine: Engine) -> None:
    engine.sync_association()
    assert sync_other(engine).outcome is Outcome.SUCCEEDED
    assert engine.cms.games["tennis-5"].grade_id == "tennis-2"


@pytest.mark.parametrize("clash", CLASHES)
def test_what_another_provider_has_stored_is_refused_and_stays_as_it_is(
    engine: Engine, clash: Callable[[World], None]
) -> None:
    clash(engine.sources.others[OTHER])
    engine.sync_association()
    stored, absences = engine.cms.stored(), dict(engine.cms.absences)
    for _ in range(5):
        engine.clock.pass_days(1)
        run = sync_other(engine)
        sync_other(engine, "validation-only")
        assert run.outcome is not Outcome.SUCCEEDED
        told = " ".join(report.message or "" for report in run.stages.values())
        assert "its id is taken by one of playhq, so it cannot be stored as tennis's" in told
        after = engine.cms.stored()
        assert {
            kind: {key: after[kind][key] for key in records} for kind, records in stored.items()
        } == stored
    assert dict(engine.cms.absences) == absences
    assert engine.cms.removed == {}


@pytest.mark.parametrize("clash", CLASHES)
def test_whoever_came_first_goes_on_as_before(engine: Engine, clash: Callable[[World], None]) -> None:
    clash(engine.sources.others[OTHER])
    engine.sync_association()
    sync_other(engine)
    written = len(engine.cms.history)
    run = engine.sync_association()
    assert run.outcome is Outcome.SUCCEEDED
    assert len(engine.cms.history) == written
