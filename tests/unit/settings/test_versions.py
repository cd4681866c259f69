from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from settings.loader import InvalidSettings, Loaded, load
from settings.versions import History, Version, VersionConflict, diff
from sync.errors import NotFound
from tests.unit.settings.fakes import FakeVersions

AT = datetime(2026, 11, 23, tzinfo=UTC)
Environ = dict[str, str]


@pytest.fixture
def versions() -> FakeVersions:
    return FakeVersions()


@pytest.fixture
def environ() -> Environ:
    """What the variables say; a test may change it."""
    return {"CLUBSYNC_PROVIDERS__PLAYHQ__API_KEY": "hunter2"}


@pytest.fixture
def loading(environ: Environ) -> Callable[[Mapping[str, Any]], Loaded]:
    return lambda overrides: load(environ, overrides=overrides)


@pytest.fixture
def history(versions: FakeVersions, loading: Callable[[Mapping[str, Any]], Loaded]) -> History:
    kept = History(versions, loading, lambda: AT)
    kept.enrol(loading({}), {}, author="worker", reason="started")
    return kept


def test_processes_with_the_same_settings_share_a_version(
    history: History, versions: FakeVersions, loading: Callable[[Mapping[str, Any]], Loaded], environ: Environ
) -> None:
    environ |= {"PORT": "9000", "REDIS_URL": "redis://elsewhere"}
    assert history.enrol(loading({}), {}, author="web", reason="started").number == 1
    assert len(versions.kept) == 1


def test_a_change_is_a_new_version_with_author_time_reason_and_difference(
    history: History, versions: FakeVersions
) -> None:
    version = history.change({"logging.level": "debug"}, author="ann", reason="looking for a fault")
    assert (version.number, version.author, version.at, version.reason) == (
        2,
        "ann",
        AT,
        "looking for a fault",
    )
    assert [(one.key, one.before, one.after) for one in diff(versions.find(1), version)] == [
        ("logging.level", "info", "debug")
    ]


def test_text_as_from_a_command_line_becomes_numbers_and_lists(history: History) -> None:
    version = history.change(
        {
            "worker.greenlets": "7",
            "providers.playhq.extra_season_ids": "a, b",
            "sync.removal_max_share": "0.2",
        },
        author="ann",
        reason="",
    )
    assert version.overrides == {
        "worker.greenlets": 7,
        "providers.playhq.extra_season_ids": ["a", "b"],
        "sync.removal_max_share": 0.2,
    }


def test_restoring_a_version_makes_a_new_one(history: History, versions: FakeVersions) -> None:
    history.change({"worker.greenlets": 5, "logging.level": "debug"}, author="ann", reason="")
    history.change({"worker.greenlets": 6}, author="bob", reason="")
    assert [one.key for one in diff(versions.in_force(), history.preview_rollback(2))] == ["worker.greenlets"]
    restored = history.rollback(2, author="cid")
    assert (restored.number, restored.reason) == (4, "restores version 2")
    assert restored.values == versions.find(2).values
    assert history.rollback(1, author="cid").values == versions.find(1).values


def test_restoring_wins_over_a_file_or_variable_that_changed_since(
    history: History, environ: Environ, loading: Callable[[Mapping[str, Any]], Loaded]
) -> None:
    environ["CLUBSYNC_WORKER__GREENLETS"] = "9"
    assert history.enrol(loading({}), {}, author="worker", reason="started").number == 2
    restored = history.rollback(1, author="ann")
    assert restored.overrides == {"worker.greenlets": 32}
    assert restored.values["worker.greenlets"] == 32


def test_whoever_changes_a_setting_may_have_other_variables_than_those_who_work(
    history: History, versions: FakeVersions, environ: Environ
) -> None:
    environ |= {"CLUBSYNC_PROVIDERS__PLAYHQ__BASE_URL": "http://127.0.0.1:1", "CLUBSYNC_SYNC__ATTEMPTS": "9"}
    version = history.change({"logging.level": "debug"}, author="ann", reason="")
    assert [one.key for one in diff(versions.find(1), version)] == ["logging.level"]
    restored = history.rollback(1, author="ann")
    assert restored.overrides == {}
    assert restored.fingerprint == versions.find(1).fingerprint


def test_an_override_can_be_dropped(history: History) -> None:
    history.change({"worker.greenlets": 5, "logging.level": "debug"}, author="ann", reason="")
    assert history.change({}, unset=["worker.greenlets"], author="ann", reason="").overrides == {
        "logging.level": "debug"
    }


@pytest.mark.parametrize(
    ("changes", "unset", "advice"),
    [
        (
            {"worker.greenlets": 0},
            [],
            "config set: worker.greenlets = 0: should be greater than or equal to 1",
        ),
        ({"worker.greenlet": 3}, [], "did you mean worker.greenlets?"),
        ({"nonsense": "x"}, [], "unknown setting"),
        ({"providers.playhq.api_key": "sesame"}, [], "is a secret: set it in a file or a variable"),
        ({"web.port": 81}, [], "differs from process to process: set its variable"),
        ({}, ["worker.greenlets"], "is not set live; nothing to unset"),
        ({"cms.kind": "strapi"}, [], "is required when cms.kind is strapi"),
    ],
)
def test_a_change_that_cannot_be_is_refused_and_leaves_no_version(
    history: History, versions: FakeVersions, changes: dict[str, Any], unset: list[str], advice: str
) -> None:
    with pytest.raises(InvalidSettings) as caught:
        history.change(changes, unset=unset, author="ann", reason="")
    assert advice in str(caught.value)
    assert "sesame" not in str(caught.value)
    assert len(versions.kept) == 1


def test_whoever_looked_at_an_older_version_is_told_so(history: History) -> None:
    history.change({"logging.level": "debug"}, author="ann", reason="", expected=1)
    with pytest.raises(VersionConflict, match="version 2 is in force, not 1"):
        history.change({"logging.level": "error"}, author="bob", reason="", expected=1)
    with pytest.raises(VersionConflict):
        history.rollback(1, author="bob", expected=1)


def test_a_version_that_never_was_cannot_be_restored(history: History) -> None:
    with pytest.raises(NotFound):
        history.rollback(9, author="ann")


def test_a_whole_table_is_the_settings_in_it_and_can_be_dropped_as_one(history: History) -> None:
    entry = '{"every_s": 600, "preset": "quick"}'
    version = history.change(
        {"scheduler.entries.often": entry, "presets.names": {"games": False}}, author="ann", reason=""
    )
    assert version.overrides == {
        "scheduler.entries.often.every_s": 600,
        "scheduler.entries.often.preset": "quick",
        "presets.names.games": False,
    }
    dropped = history.change({}, unset=["scheduler.entries.often"], author="ann", reason="")
    assert dropped.overrides == {"presets.names.games": False}


def test_a_secret_is_refused_within_a_table_too(history: History) -> None:
    with pytest.raises(InvalidSettings, match=r"notifications\.slack\.token.*is a secret") as refused:
        history.change({"notifications.slack": '{"token": "hunter3"}'}, author="ann", reason="")
    assert "hunter3" not in str(refused.value)


def test_versions_hold_no_secret(versions: FakeVersions, history: History) -> None:
    assert "hunter2" not in repr(versions.kept)


def test_settings_that_a_release_no_longer_has_are_left_out_of_a_rollback_and_named(
    history: History, versions: FakeVersions
) -> None:
    old = versions.find(1)
    values = {**old.values, "http.colour": "red", "logging.level": "debug"}
    versions.add(replace(old, number=2, values=values, overrides={"http.colour": "red"}, instead_of=1))
    assert history.change({"sync.attempts": 4}, author="ann", reason="").overrides == {"sync.attempts": 4}
    restored = history.rollback(2, author="ann")
    assert restored.values["logging.level"] == "debug"
    assert restored.reason == "restores version 2, without http.colour: this release has no such setting"


def test_a_rollback_takes_back_what_did_not_exist_then(history: History, versions: FakeVersions) -> None:
    history.change({"presets.evening.games": False}, author="ann", reason="")
    assert history.rollback(1, author="ann").fingerprint == versions.find(1).fingerprint


class Slower(FakeVersions):
    """Somebody else's change arrives once between reading and adding."""

    is_overtaken_next = False

    def add(self, version: Version) -> None:
        if self.is_overtaken_next:
            self.is_overtaken_next = False
            super().add(replace(version, author="bob", overrides={"sync.grade_concurrency": 5}))
        super().add(version)


@pytest.fixture
def slower(history: History) -> Slower:
    versions = Slower()
    History(versions, history.load, lambda: AT).enrol(history.load({}), {}, author="worker", reason="started")
    versions.is_overtaken_next = True
    return versions


def test_of_two_who_set_at_once_one_is_told_to_look_again(history: History, slower: Slower) -> None:
    ours = History(slower, history.load, lambda: AT)
    with pytest.raises(VersionConflict):
        ours.change({"sync.attempts": 4}, author="ann", reason="", expected=1)
    assert [one.author for one in slower.kept] == ["worker", "bob"]


def test_a_change_of_whoever_looked_at_no_version_goes_on_top_of_a_faster_one(
    history: History, slower: Slower
) -> None:
    ours = History(slower, history.load, lambda: AT)
    changed = ours.change({"sync.attempts": 4}, author="ann", reason="")
    assert [one.author for one in slower.kept] == ["worker", "bob", "ann"]
    assert changed.overrides == {"sync.grade_concurrency": 5, "sync.attempts": 4}
