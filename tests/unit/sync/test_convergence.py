"""Whatever the provider does and whatever fails: in the end the data are the provider's."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from sync.changes import Action, Change
from sync.context import FanOut, Rules
from sync.errors import (
    AccountBusy,
    CmsUnavailable,
    LeaseLost,
    ProviderUnavailable,
    RateLimited,
    Stopping,
    StoreUnavailable,
    SyncError,
    UnexpectedResponse,
)
from sync.grades.ports import GradeTask
from sync.guard import Limits
from sync.model import Organisation, RecordKind
from sync.report import Mode, Outcome, Run
from sync.request import SyncRequest
from sync.window import Window
from tests.fakes import FakeGathers, FakeSource, nothing_fails
from tests.unit.sync.changing_world import ChangingWorld
from tests.unit.sync.engine import ASSOCIATION, ASSOCIATION_ACCOUNT, CLUB_ACCOUNT, HAWKS, Engine

CONFIRMATIONS = 2
ATTEMPTS = 200

# Of a random world and its fate; hypothesis's own randomness would be ten times as slow.
seeds = st.integers(0, 2**32)


class Killed(BaseException):
    """The worker's process is gone."""


class Watched:
    """An engine whose provider changes; no removal goes by unjudged."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.provider = ChangingWorld(random)
        limits = Limits(removal_max_count=1000, removal_max_share=1, shrink_max_share=1)
        self.engine = Engine(
            world=self.provider.world, rules=Rules(removal_confirmations=CONFIRMATIONS, limits=limits)
        )
        self.engine.cms.after = self._judge_writes
        self._judged = 0
        self._missing_days: dict[str, set[object]] = {}

    def change(self) -> None:
        for _ in range(self.random.randint(0, 4)):
            self.provider.change()
        if self.random.random() < 0.5:
            self.engine.clock.pass_days(1)
        for game_id in self.provider.world.games:
            self._missing_days.pop(game_id, None)

    def note_absences(self) -> None:
        """Every sync may have seen what is missing now, once a day."""
        for game_id in self.engine.cms.games.keys() - self.provider.world.games.keys():
            self._missing_days.setdefault(game_id, set()).add(self._window().today)

    def assert_equal(self) -> None:
        """What is published is stored; what was dropped is removed, or waits for its days."""
        world, cms = self.provider.world, self.engine.cms
        hidden = world.hidden_ids
        published = {key: game for key, game in world.games.items() if game.grade_id not in hidden}
        readable = {key for key, game in published.items() if self._is_reachable(game.grade_id)}
        assert {key: cms.games.get(key) for key in readable} == {key: published[key] for key in readable}
        for key, team in world.teams.items():
            if self._is_stored_season(team.season_id):
                stored = cms.teams[key]
                assert (stored.club_id, stored.grade_id) == (team.club_id, team.grade_id)
                assert stored.name == team.name or team.name is None
        for key, ladder in world.ladders.items():
            if ladder.grade_id not in hidden and self._is_reachable(ladder.grade_id):
                assert cms.ladders[key] == ladder
        for key in cms.games.keys() - world.games.keys():
            assert not self._must_be_gone(key)

    def _is_stored_season(self, season_id: str) -> bool:
        return season_id in self.engine.cms.seasons

    def _is_reachable(self, grade_id: str) -> bool:
        return self._is_stored_season(self.provider.world.grades[grade_id].season_id)

    def _must_be_gone(self, game_id: str) -> bool:
        # While a grade is hidden, no fixture of its season is proof enough for a removal.
        if self.provider.world.hidden_ids:
            return False
        days = self.engine.cms.absences.get(game_id, set())
        return len(days) > CONFIRMATIONS and self._window().may_remove(self.engine.cms.games[game_id])

    def _judge_writes(self, operation: str) -> None:
        history = self.engine.cms.history
        for _, _, change in history[self._judged :]:
            if change.action is Action.REMOVED:
                self._judge_removal(change)
        self._judged = len(history)

    def _judge_removal(self, change: Change) -> None:
        self.note_absences()
        assert change.kind is RecordKind.GAME
        assert change.record_id not in self.provider.world.games, "a false removal"
        assert change.before is not None
        assert self._window().may_remove(self.engine.cms.removed[change.record_id])
        assert len(self.engine.cms.absences[change.record_id]) >= CONFIRMATIONS

    def _window(self) -> Window:
        rules = self.engine.rules
        return Window.at(self.engine.clock.now(), zone=rules.zone, look_back_days=rules.look_back_days)


@given(seeds)
def test_after_a_sync_the_stored_data_equal_the_providers(seed: int) -> None:
    watched = Watched(Random(seed))
    for _ in range(6):
        assert_undisturbed(watched.engine.sync_association())
        watched.assert_equal()
        written = len(watched.engine.cms.history)
        watched.engine.sync_association()
        assert len(watched.engine.cms.history) == written, "the same inputs twice"
        watched.change()


@given(seeds)
def test_a_club_stores_its_games_with_both_teams(seed: int) -> None:
    watched = Watched(Random(seed))
    world, cms = watched.provider.world, watched.engine.cms
    for _ in range(6):
        source = FakeSource(world)
        club = cms.accounts[CLUB_ACCOUNT].organisation
        if not source.fetch_seasons(club).records:
            return
        watched.engine.sync_club()
        own_teams = {t.id: t for t in world.teams.values() if t.club_id == HAWKS}
        own_grades = {t.grade_id for t in own_teams.values()} - world.hidden_ids
        for game in world.games.values():
            is_own = game.home_id in own_teams or game.away_id in own_teams
            if is_own and game.grade_id in own_grades and _is_listed(watched, club, game.grade_id):
                assert cms.games[game.id] == game
        for game in cms.games.values():
            assert {game.home_id, game.away_id} <= cms.teams.keys()
            assert {cms.teams[game.home_id].club_id, cms.teams[game.away_id].club_id} & {HAWKS}
        written = len(cms.history)
        watched.engine.sync_club()
        assert len(cms.history) == written, "the same inputs twice"
        watched.change()


def _is_listed(watched: Watched, club: Organisation, grade_id: str) -> bool:
    season_id = watched.provider.world.grades[grade_id].season_id
    return season_id in watched.engine.cms.seasons


@settings(max_examples=100)
@given(seeds)
def test_random_faults_and_repetitions_lead_to_the_same_data(seed: int) -> None:
    watched = Watched(Random(seed))
    engine = watched.engine
    for _ in range(3):
        faults = Faults(watched)
        with_faults(watched, faults, engine.request(Mode.ASSOCIATION, account_id=ASSOCIATION_ACCOUNT))
        watched.change()
    engine.fan_out = None
    assert_undisturbed(engine.sync_association())
    watched.assert_equal()
    created = [
        (change.kind, change.record_id)
        for *_, change in engine.cms.history
        if change.action is Action.CREATED
    ]
    assert len(created) == len(set(created)), "a record was created twice"
    finished = [announced.id for announced in engine.announced]
    assert len(finished) == len(set(finished)), "a run was announced twice"


def assert_undisturbed(run: Run) -> None:
    """Only a fixture that was emptied is held back; all else succeeds."""
    for report in run.stages.values():
        is_held = "the listing is empty" in (report.message or "")
        assert report.outcome is Outcome.SUCCEEDED or is_held


class Faults:
    """Anything may fail at any moment, until it is over."""

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.random = watched.random
        self.share = watched.random.choice([0.0, 0.05, 0.2])
        self.gathers = FakeGathers(meanwhile=self._time_passes)

    def begin(self) -> None:
        engine = self.watched.engine
        engine.sources.before = self._break
        engine.cms.before = self._break_cms
        engine.cms.after = self._lose_answer
        engine.leases.before = self._lose_lease
        engine.checkpoints.before = self._break_store
        engine.fan_out = FanOut(gathers=self.gathers, share_out=self._share_out, min_grades=2)

    def end(self) -> None:
        engine = self.watched.engine
        engine.sources.before = engine.cms.before = engine.leases.before = nothing_fails
        engine.checkpoints.before = nothing_fails
        engine.cms.after = self.watched._judge_writes

    def _is_due(self) -> bool:
        return self.random.random() < self.share

    def _break(self, operation: str) -> None:
        if self._is_due():
            errors: list[BaseException] = [
                ProviderUnavailable("503"),
                RateLimited("429", retry_after_s=1),
                UnexpectedResponse("not JSON"),
                Stopping("draining", retry_after_s=0),
                Killed(),
            ]
            raise self.random.choice(errors)

    def _break_cms(self, operation: str) -> None:
        if self._is_due():
            raise CmsUnavailable("503")

    def _break_store(self, operation: str) -> None:
        # A lost mark of an announcement repeats it, and delivery sends it once all the same.
        if "settled" not in operation and self._is_due():
            raise StoreUnavailable("Redis is away")

    def _lose_answer(self, operation: str) -> None:
        self.watched._judge_writes(operation)
        if self._is_due():
            raise self.random.choice([CmsUnavailable("no answer"), Killed()])

    def _lose_lease(self, operation: str) -> None:
        if self.random.random() < self.share / 10:
            self.watched.engine.leases.pass_on(f"playhq:{ASSOCIATION}", "another run")

    def _share_out(self, tasks: Sequence[GradeTask]) -> None:
        for task in tasks:
            if self.random.random() < 0.5:
                try:
                    self.watched.engine.sync_run.perform_grade(task)
                except (SyncError, Killed):
                    continue

    def _time_passes(self) -> None:
        for run_id in list(self.gathers.pending):
            self.gathers.lapse(run_id)


def with_faults(watched: Watched, faults: Faults, request: SyncRequest) -> Run | None:
    """Try as the retry middleware does, until the run has its verdict."""
    engine = watched.engine
    faults.begin()
    try:
        for _ in range(ATTEMPTS):
            try:
                return engine.perform(request)
            except (AccountBusy, LeaseLost):
                engine.leases.holders.clear()
                engine.leases.owners.clear()
            except UnexpectedResponse:
                return None
            except (SyncError, Killed):
                watched.note_absences()
        return None
    finally:
        faults.end()
