from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from settings.live import ProcessRole
from settings.loader import Loaded, load
from settings.reload import Reloader
from settings.schema import Settings
from settings.versions import History, Version
from tests.unit.settings.bad_files import BAD_FILES, BadFile, mend
from tests.unit.settings.fakes import FakeVersions

AT = datetime(2026, 11, 23, tzinfo=UTC)


class Process:
    """A worker: of what it takes over, `logging` and `sync` are applied."""

    def __init__(self, name: str, file: Path, versions: FakeVersions) -> None:
        environ = {"CLUBSYNC_CONFIG": str(file)}
        self.applied: list[Settings] = []
        self.fault: Exception | None = None
        self.history = History(versions, lambda overrides: load(environ, overrides=overrides), lambda: AT)
        self.reloader = Reloader(self.history, versions, ProcessRole.WORKER, name, file, lambda: AT)
        self.reloader.subscribe("logging", "sync", apply=self.take_over)

    def take_over(self, settings: Settings) -> None:
        if self.fault:
            raise self.fault
        self.applied.append(settings)

    @property
    def level(self) -> str:
        return self.reloader.in_force.loaded.settings.logging.level


@pytest.fixture
def versions() -> FakeVersions:
    return FakeVersions()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "clubsync.toml"
    path.write_text('[logging]\nlevel = "warning"\n')
    return path


@pytest.fixture
def start(file: Path, versions: FakeVersions) -> Callable[[str], Process]:
    return lambda name: Process(name, file, versions)


def test_a_process_starts_under_a_version_and_says_so(
    start: Callable[[str], Process], versions: FakeVersions
) -> None:
    worker, web = start("worker"), start("web")
    assert (worker.reloader.in_force.number, web.reloader.in_force.number) == (1, 1)
    assert versions.said["worker"].is_accepted
    assert versions.said["web"].version == 1


def test_a_changed_file_is_taken_over_as_a_new_version(
    start: Callable[[str], Process], file: Path, versions: FakeVersions
) -> None:
    worker, web = start("worker"), start("web")
    worker.reloader.look()
    assert worker.applied == []
    file.write_text('[logging]\nlevel = "debug"\n')
    worker.reloader.look()
    web.reloader.look()
    assert (worker.level, web.level) == ("debug", "debug")
    assert [settings.logging.level for settings in worker.applied] == ["debug"]
    assert worker.reloader.in_force.number == web.reloader.in_force.number == 2
    assert versions.find(2).reason == "its file changed"


@pytest.mark.parametrize("bad", BAD_FILES, ids=lambda bad: bad.name)
def test_a_bad_file_is_refused_with_the_reason_and_the_last_good_one_stays(
    start: Callable[[str], Process], file: Path, versions: FakeVersions, bad: BadFile
) -> None:
    worker = start("worker")
    bad.spoil(file)
    worker.reloader.look()
    assert worker.level == "warning"
    assert worker.applied == []
    said = versions.said["worker"]
    assert (said.is_accepted, said.is_local) == (False, True)
    for told in (str(file), *bad.told):
        assert told in (said.reason or "")
    assert "hunter2" not in (said.reason or "")
    mend(file, '[logging]\nlevel = "error"\n# mended\n')
    worker.reloader.look()
    assert worker.level == "error"
    assert versions.said["worker"].is_accepted


def test_a_file_of_another_system_is_taken_over(
    start: Callable[[str], Process], file: Path, versions: FakeVersions
) -> None:
    worker = start("worker")
    file.write_bytes(b'\xef\xbb\xbf[logging]\r\nlevel = "error"\r\n')
    worker.reloader.look()
    assert worker.level == "error"
    assert versions.said["worker"].is_accepted


def test_a_version_set_by_anybody_reaches_every_process(
    start: Callable[[str], Process], versions: FakeVersions
) -> None:
    worker, web = start("worker"), start("web")
    web.history.change({"logging.level": "error"}, author="ann", reason="too loud")
    worker.reloader.look()
    assert worker.level == "error"
    assert worker.reloader.in_force.number == 2
    assert web.level == "warning"
    web.reloader.look()
    assert web.level == "error"
    web.history.rollback(1, author="ann")
    worker.reloader.look()
    assert worker.level == "warning"
    assert worker.reloader.in_force.number == 3


def test_a_file_read_while_somebody_changes_a_setting_does_not_undo_the_change(
    start: Callable[[str], Process], file: Path, versions: FakeVersions
) -> None:
    worker, web = start("worker"), start("web")
    load_as_before = worker.history.load

    def load_slowly(overrides: Mapping[str, Any]) -> Loaded:
        loaded = load_as_before(overrides)
        worker.history.load = load_as_before
        web.history.change({"worker.greenlets": 7}, author="ann", reason="")
        return loaded

    worker.history.load = load_slowly
    file.write_text('[logging]\nlevel = "debug"\n')
    worker.reloader.look()
    web.reloader.look()
    for process in (worker, web):
        assert process.level == "debug"
        assert process.reloader.in_force.loaded.settings.worker.greenlets == 7


def test_a_process_that_starts_while_somebody_changes_a_setting_does_not_undo_the_change(
    start: Callable[[str], Process], file: Path, versions: FakeVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    web = start("web")
    file.write_text('[logging]\nlevel = "debug"\n')
    enrol_as_before = History.enrol

    def enrol_late(history: History, *arguments: Any, **named: Any) -> Version:
        monkeypatch.setattr(History, "enrol", enrol_as_before)
        web.history.change({"worker.greenlets": 7}, author="ann", reason="")
        return history.enrol(*arguments, **named)

    monkeypatch.setattr(History, "enrol", enrol_late)
    worker = start("worker")
    assert worker.reloader.in_force.loaded.settings.worker.greenlets == 7
    assert worker.level == "debug"


def test_a_process_that_starts_later_has_the_live_overrides(start: Callable[[str], Process]) -> None:
    start("web").history.change({"logging.level": "error"}, author="ann", reason="")
    worker = start("worker")
    assert worker.level == "error"
    assert worker.reloader.in_force.number == 2


def test_values_that_nobody_takes_over_are_named_for_a_restart(
    start: Callable[[str], Process], versions: FakeVersions
) -> None:
    worker = start("worker")
    worker.history.change(
        {"worker.grace_s": 5.0, "sync.look_back_days": 7, "scheduler.lease_s": 5.0}, author="ann", reason=""
    )
    worker.reloader.look()
    assert versions.said["worker"].restart_for == ("worker.grace_s",)
    assert versions.said["worker"].is_accepted
    assert worker.applied[0].sync.look_back_days == 7
    # It waits for its restart whatever changes next, and until the value is the old one again.
    worker.history.change({"sync.look_back_days": 8}, author="ann", reason="")
    worker.reloader.look()
    assert versions.said["worker"].restart_for == ("worker.grace_s",)
    worker.history.change({}, unset=["worker.grace_s"], author="ann", reason="")
    worker.reloader.look()
    assert not versions.said["worker"].restart_for


def test_a_part_that_cannot_take_over_is_a_nack_that_names_it(
    start: Callable[[str], Process], versions: FakeVersions
) -> None:
    worker = start("worker")
    worker.fault = RuntimeError("no disk")
    worker.history.change({"sync.look_back_days": 7}, author="ann", reason="")
    worker.reloader.look()
    assert versions.said["worker"].reason == "logging, sync: RuntimeError: no disk"
    assert not versions.said["worker"].is_accepted


def test_a_version_that_a_process_refuses_is_told_from_a_file_that_it_refuses(
    start: Callable[[str], Process], file: Path, versions: FakeVersions, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text("[http]\nretry_cap_s = 30\n")
    file.write_text("[http]\nretry_cap_s = 2\n")
    worker, web = start("worker"), Process("web", elsewhere, versions)
    file.write_text("[http]\nretry_cap_s = 0\n")
    worker.reloader.look()
    what, mend_by = versions.said["worker"].trouble or ("", "")
    assert what == "worker keeps its last good settings"
    assert mend_by.startswith(f"{file}: http.retry_cap_s = 0")
    assert mend_by.endswith("; mend that place")

    file.write_text("[http]\nretry_cap_s = 2\n")
    number = web.history.change({"http.retry_base_s": 9.0}, author="ann", reason="").number
    worker.reloader.look()
    what, mend_by = versions.said["worker"].trouble or ("", "")
    assert what == f"worker refuses version {number}"
    assert "config set: http.retry_base_s = 9.0: should be at most http.retry_cap_s (2.0)" in mend_by
    assert "`clubsync config rollback`" in mend_by


def test_asking_reloads_although_nothing_changed(
    start: Callable[[str], Process], versions: FakeVersions
) -> None:
    worker = start("worker")
    versions.said.clear()
    worker.reloader.look()
    assert versions.said == {}
    worker.reloader.ask()
    worker.reloader.look()
    assert versions.said["worker"].version == 1


def test_a_new_secret_is_taken_over_although_it_makes_no_version(
    start: Callable[[str], Process], file: Path, versions: FakeVersions
) -> None:
    worker = start("worker")
    file.write_text('[logging]\nlevel = "warning"\n[providers.playhq]\napi_key = "new-key"\n')
    worker.reloader.look()
    assert versions.said["worker"].is_accepted
    key = worker.reloader.in_force.loaded.settings.providers.playhq.api_key
    assert key is not None
    assert key.get_secret_value() == "new-key"
