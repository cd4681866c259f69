"""A run's grades over several workers: the same result, whoever does them and whoever dies."""

from __future__ import annotations

import pytest

from sync.context import FanOut
from sync.errors import LeaseLost, ProviderUnavailable, SyncError, UnexpectedResponse
from sync.grades.ports import GradeTask
from sync.model import RecordKind
from sync.ports import Quarantined
from sync.report import Mode, Outcome, Run, Stage
from tests.fakes import FakeGathers, nothing_fails
from tests.unit.sync.engine import ASSOCIATION, ASSOCIATION_ACCOUNT, Engine, game, grade, team


@pytest.fixture
def engine() -> Engine:
    """Ten grades, two teams and one game in each; whoever helps is called while the run waits."""
    engine = Engine()
    for number in range(10, 18):
        engine.world.grades[f"grade-{number}"] = grade(number)
        for side in (0, 1):
            entered = team(number * 10 + side, grade_id=f"grade-{number}")
            engine.world.teams[entered.id] = entered
        played = game(number, home=number * 10, away=number * 10 + 1, grade_id=f"grade-{number}")
        engine.world.games[played.id] = played
    return engine


class Sharing:
    """The run's messages, kept until a test plays the other worker."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.tasks: list[GradeTask] = []
        self.gathers = FakeGathers()
        engine.fan_out = FanOut(gathers=self.gathers, share_out=self.tasks.extend)

    def help(self, count: int = 1000) -> None:
        for task in self.tasks[:count]:
            self.engine.sync_run.perform_grade(task)

    def help_first(self, count: int = 1000) -> None:
        """Other workers are faster than the run: they do these before it begins any."""

        def share_out(tasks: object) -> None:
            self.tasks.extend(tasks)  # type: ignore[arg-type]
            self.help(count)

        self.engine.fan_out = FanOut(gathers=self.gathers, share_out=share_out)


@pytest.fixture
def sharing(engine: Engine) -> Sharing:
    return Sharing(engine)


def undisturbed(engine: Engine) -> Run:
    return Engine(world=engine.world).sync_association()


@pytest.mark.parametrize("helped", [0, 4, 10])
def test_whoever_does_the_grades_the_result_is_the_same(
    engine: Engine, sharing: Sharing, helped: int
) -> None:
    sharing.help_first(helped)
    run = engine.sync_association()
    alone = undisturbed(engine)
    assert len(sharing.tasks) == 10
    assert engine.cms.games == engine.world.games
    assert run.outcome is Outcome.SUCCEEDED
    assert run.stages[Stage.GAMES] == alone.stages[Stage.GAMES]
    assert run.requests == alone.requests


@pytest.mark.parametrize("helped", [0, 10])
def test_what_a_helper_could_not_read_is_told_by_the_run(
    engine: Engine, sharing: Sharing, helped: int
) -> None:
    broken = Quarantined(kind=RecordKind.GAME, record_id="game-x", reason="no status")
    engine.world.unreadable["grade-1"] = [broken]
    sharing.help_first(helped)
    run = engine.sync_association()
    assert "game game-x is unreadable: no status" in str(run.stages[Stage.GAMES].message)


def test_a_club_and_a_dry_run_keep_their_work_to_themselves(engine: Engine, sharing: Sharing) -> None:
    engine.sync_association(is_dry_run=True)
    engine.sync_club()
    assert sharing.tasks == []


def test_messages_after_the_end_do_nothing(engine: Engine, sharing: Sharing) -> None:
    engine.sync_association()
    asked, written = len(engine.sources.asked), len(engine.cms.history)
    sharing.help()
    assert len(engine.sources.asked) == asked
    assert len(engine.cms.history) == written


def test_a_helper_that_dies_gives_its_grade_back(engine: Engine, sharing: Sharing) -> None:
    def die() -> None:
        sharing.gathers.meanwhile = lambda: None
        sharing.gathers.lapse("run-1")

    def begin_and_vanish(tasks: list[GradeTask]) -> None:
        for task in tasks[:3]:
            sharing.gathers.claim(task.run_id, f"games:{task.grade_id}", token=task.fence.token)

    engine.fan_out = FanOut(gathers=sharing.gathers, share_out=begin_and_vanish)  # type: ignore[arg-type]
    sharing.gathers.meanwhile = die
    assert engine.sync_association().outcome is Outcome.SUCCEEDED
    assert engine.cms.games == engine.world.games


@pytest.mark.parametrize("error", [ProviderUnavailable("503"), UnexpectedResponse("not JSON")])
def test_what_fails_for_a_helper_is_tried_by_the_run(
    engine: Engine, sharing: Sharing, error: SyncError
) -> None:
    left = [error, error]

    def before(operation: str) -> None:
        if operation.startswith("fixture") and left:
            raise left.pop()

    engine.sources.before = before
    sharing.help_first()
    assert engine.sync_association().outcome is Outcome.SUCCEEDED
    assert engine.cms.games == engine.world.games


def test_a_grade_that_fails_for_everybody_makes_the_run_partial(engine: Engine, sharing: Sharing) -> None:
    def before(operation: str) -> None:
        if operation == "fixture of grade-12":
            raise UnexpectedResponse("not JSON")

    engine.sources.before = before
    sharing.help_first()
    run = engine.sync_association()
    assert run.outcome is Outcome.PARTIAL
    assert run.stages[Stage.GAMES].message == "grade Grade 12 (grade-12): not JSON"


def test_a_provider_that_answers_nobody_fails_the_stage(engine: Engine, sharing: Sharing) -> None:
    def before(operation: str) -> None:
        if operation.startswith("fixture"):
            raise UnexpectedResponse("not JSON")

    engine.sources.before = before
    sharing.help_first()
    with pytest.raises(UnexpectedResponse):
        engine.sync_association()
    (run,) = engine.announced
    assert run.stages[Stage.GAMES].outcome is Outcome.FAILED


def test_helpers_of_a_dead_attempt_write_nothing(engine: Engine, sharing: Sharing) -> None:
    def lose(operation: str) -> None:
        if operation.startswith("fixture"):
            engine.leases.pass_on(f"playhq:{ASSOCIATION}", "another run")

    engine.sources.before = lose
    with pytest.raises(LeaseLost):
        engine.sync_association()
    engine.sources.before = nothing_fails
    written = len(engine.cms.history)
    sharing.help()
    assert len(engine.cms.history) == written


def test_a_killed_run_goes_on_with_what_its_helpers_did(engine: Engine, sharing: Sharing) -> None:
    class Killed(BaseException):
        pass

    def share_out_and_die(tasks: list[GradeTask]) -> None:
        sharing.tasks.extend(tasks)
        sharing.help(6)
        raise Killed

    engine.fan_out = FanOut(gathers=sharing.gathers, share_out=share_out_and_die)  # type: ignore[arg-type]
    request = engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT)
    with pytest.raises(Killed):
        engine.perform(request)
    engine.fan_out = None
    run = engine.perform(request)
    assert run.outcome is Outcome.SUCCEEDED
    assert engine.cms.games == engine.world.games
    fixtures = [asked for asked in engine.sources.asked if asked.startswith("fixture")]
    assert len(fixtures) == len(set(fixtures)) == 10
    assert run.stages[Stage.GAMES] == undisturbed(engine).stages[Stage.GAMES]
