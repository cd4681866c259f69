"""A version on one worker first: what takes it back, what promotes it, and that it ends once."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import comb

import pytest

from settings.canary import Ending, Judge, Outcome, Tally, Trial, chance_of
from settings.loader import InvalidSettings, load
from settings.reload import Acknowledgement
from settings.schema import CanarySettings
from settings.versions import History, VersionConflict
from tests.unit.settings.fakes import FakeVersions

AT = datetime(2026, 11, 23, tzinfo=UTC)
MINUTES_5 = 300.0
CHANGE = {"http.read_timeout_s": 1.0}


class Installation:
    """Workers `w1` and `w2`, their versions, a judge and its clock."""

    def __init__(self) -> None:
        self.now = AT
        self.versions = FakeVersions()
        self.history = History(
            self.versions, lambda overrides: load({}, overrides=overrides), lambda: self.now
        )
        self.history.enrol(load({}), {}, author="w1", reason="started")
        self.living = ["w1", "w2"]
        self.told: list[tuple[str, Outcome, str]] = []
        self.judge = Judge(self.versions, lambda: self.living, CanarySettings, self.tell, lambda: self.now)

    def tell(self, by: str, trial: Trial, ending: Ending) -> None:
        self.told.append((by, ending.outcome, ending.reason))

    def try_out(self, **changes: object) -> Trial:
        return self.history.try_out(
            changes or CHANGE, process="w1", for_s=MINUTES_5, author="ann", reason="faster"
        )

    def count(self, number: int, process: str, *, succeeded: int, failed: int) -> None:
        counted = self.versions.counted.setdefault(number, {})
        counted[process] = counted.get(process, Tally()) + Tally(succeeded, failed)

    def look(self, after_s: float = 1.0) -> Trial | None:
        self.now += timedelta(seconds=after_s)
        self.judge.look()
        return self.versions.trial()

    @property
    def outcome(self) -> Outcome:
        ((_, outcome, _),) = self.told
        return outcome


@pytest.fixture
def installation() -> Installation:
    return Installation()


def test_only_its_worker_is_under_a_version_on_trial(installation: Installation) -> None:
    trial = installation.try_out()
    versions = installation.versions
    assert (versions.number_for("w1"), versions.number_for("w2")) == (trial.number, trial.base) == (2, 1)
    assert versions.in_force_number() == 1


def test_a_version_without_more_failures_is_promoted_when_its_time_is_over(
    installation: Installation,
) -> None:
    installation.try_out()
    installation.count(2, "w1", succeeded=40, failed=1)
    installation.count(1, "w2", succeeded=40, failed=1)
    assert installation.look(after_s=MINUTES_5 - 2) is not None
    assert installation.look(after_s=5) is None
    assert installation.told == [
        ("canary", Outcome.PROMOTED, "1 of 41 attempts failed under it, 1 of 41 without it")
    ]
    assert installation.versions.in_force_number() == 2


def test_what_is_worse_beyond_doubt_is_taken_back_at_once(installation: Installation) -> None:
    installation.try_out()
    installation.count(2, "w1", succeeded=2, failed=8)
    installation.count(1, "w2", succeeded=40, failed=0)
    assert installation.look() is None
    assert installation.outcome is Outcome.WITHDRAWN
    assert installation.versions.in_force_number() == installation.versions.number_for("w1") == 1


def test_what_is_probably_worse_is_taken_back_only_at_the_end(installation: Installation) -> None:
    installation.try_out()
    installation.count(2, "w1", succeeded=17, failed=3)
    installation.count(1, "w2", succeeded=50, failed=0)
    assert installation.look() is not None
    assert installation.look(after_s=MINUTES_5) is None
    assert installation.outcome is Outcome.WITHDRAWN


def test_an_outage_that_hits_everybody_is_not_the_versions_fault(installation: Installation) -> None:
    installation.try_out()
    installation.count(2, "w1", succeeded=0, failed=30)
    installation.count(1, "w2", succeeded=1, failed=29)
    assert installation.look(after_s=MINUTES_5 + 1) is None
    assert installation.outcome is Outcome.PROMOTED


def test_a_rise_too_small_to_matter_is_none_however_certain(installation: Installation) -> None:
    installation.try_out()
    installation.count(2, "w1", succeeded=9_700, failed=300)
    installation.count(1, "w2", succeeded=9_900, failed=100)
    assert installation.look(after_s=MINUTES_5 + 1) is None
    assert installation.outcome is Outcome.PROMOTED


def test_a_single_worker_is_compared_with_its_own_past(installation: Installation) -> None:
    installation.living = ["w1"]
    installation.count(1, "w1", succeeded=200, failed=2)
    installation.try_out()
    installation.count(2, "w1", succeeded=0, failed=3)
    assert installation.look() is None
    assert installation.told[0][2] == "3 of 3 attempts failed under it, 2 of 202 without it"


def test_where_nothing_is_known_of_before_failures_are_failures(installation: Installation) -> None:
    installation.living = ["w1"]
    installation.try_out()
    installation.count(2, "w1", succeeded=0, failed=5)
    assert installation.look() is None
    assert installation.outcome is Outcome.WITHDRAWN


def test_what_others_failed_before_the_trial_does_not_excuse_it(installation: Installation) -> None:
    installation.count(1, "w2", succeeded=0, failed=100)
    installation.try_out()
    installation.count(1, "w2", succeeded=60, failed=0)
    installation.count(2, "w1", succeeded=5, failed=5)
    assert installation.look() is None
    assert installation.outcome is Outcome.WITHDRAWN


def test_after_its_worker_died_another_tries_it_and_a_second_death_ends_it(
    installation: Installation,
) -> None:
    installation.try_out()
    installation.living = ["w2"]
    moved = installation.look(after_s=10)
    assert moved is not None
    assert (moved.process, moved.begun_at) == ("w2", AT + timedelta(seconds=10))
    assert installation.versions.number_for("w1") == 1
    installation.living = ["w3"]
    assert installation.look() is None
    assert installation.told == [("canary", Outcome.WITHDRAWN, "2 workers ended under it, the last was w2")]


def test_a_trial_waits_for_a_worker_no_longer_than_its_time(installation: Installation) -> None:
    installation.try_out()
    installation.living = []
    assert installation.look() is not None
    assert installation.look(after_s=MINUTES_5) is None
    assert installation.outcome is Outcome.WITHDRAWN


def test_a_worker_that_refuses_the_version_ends_its_trial(installation: Installation) -> None:
    installation.try_out()
    installation.versions.acknowledge(
        Acknowledgement(process="w1", version=2, is_accepted=False, at=AT, reason="http: no way out")
    )
    assert installation.look() is None
    assert installation.told[0][2] == "w1 refuses it: http: no way out"


def test_nobody_sets_anything_beside_a_trial_but_a_rollback_ends_it(installation: Installation) -> None:
    installation.try_out()
    with pytest.raises(VersionConflict, match="version 2 of ann is on trial on w1 until 00:05:00 UTC"):
        installation.history.change({"logging.level": "debug"}, author="bob", reason="")
    with pytest.raises(VersionConflict, match="on trial"):
        installation.try_out()
    restored = installation.history.rollback(1, author="bob")
    assert restored.number == 3
    assert installation.look() is None
    assert installation.told == [("canary", Outcome.WITHDRAWN, "version 3 came into force meanwhile")]
    assert installation.versions.number_for("w1") == 3


def test_two_judges_end_a_trial_once(installation: Installation) -> None:
    installation.try_out()
    installation.count(2, "w1", succeeded=0, failed=9)
    trials, late = installation.versions, installation.versions.trial()
    assert late is not None
    installation.look()
    ending = Ending(number=2, outcome=Outcome.PROMOTED, at=AT, reason="late")
    assert not trials.end_trial(late, ending)
    assert trials.in_force_number() == 1
    assert len(installation.told) == 1


def test_what_a_running_worker_proves_nothing_about_is_not_tried(installation: Installation) -> None:
    with pytest.raises(InvalidSettings) as caught:
        installation.try_out(**{"worker.grace_s": 4.0, "scheduler.lease_s": 5.0, "sync.attempts": 2})
    assert [str(problem) for problem in caught.value.problems] == [
        f"config set: {key}: cannot be tried on one worker: {why}"
        for key, why in (
            ("worker.grace_s = 4.0", "a worker reads it only when it starts"),
            ("scheduler.lease_s = 5.0", "no worker uses it"),
        )
    ]
    with pytest.raises(InvalidSettings, match="changes nothing to try"):
        installation.try_out(**{"sync.attempts": 3})
    assert installation.versions.trial() is None


def test_the_chance_is_that_of_drawing_so_many_failures() -> None:
    tried, usual = Tally(succeeded=3, failed=4), Tally(succeeded=18, failed=2)
    expected = sum(comb(6, count) * comb(21, 7 - count) for count in range(4, 7)) / comb(27, 7)
    assert chance_of(tried, usual) == pytest.approx(expected)
    assert chance_of(Tally(), usual) == 1.0
    assert chance_of(Tally(succeeded=5), Tally()) == 1.0


@pytest.mark.parametrize(("rate", "fate"), [(0.05, Outcome.PROMOTED), (0.5, Outcome.WITHDRAWN)])
def test_of_many_trials_nearly_all_end_as_they_should(
    rate: float, fate: Outcome, draw: Callable[[], float]
) -> None:
    ends = []
    for _ in range(40):
        installation = Installation()
        installation.try_out()
        for _ in range(60):
            for number, process, share in ((2, "w1", rate), (1, "w2", 0.05)):
                has_failed = draw() < share
                installation.count(number, process, succeeded=not has_failed, failed=has_failed)
            if installation.look(after_s=MINUTES_5 / 60) is None:
                break
        ends.append(installation.outcome)
    assert ends.count(fate) >= 37


@pytest.fixture
def draw() -> Callable[[], float]:
    return random.Random(7).random
