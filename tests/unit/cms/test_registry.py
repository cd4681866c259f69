"""The CMS is opened by the kind that the settings name."""

from __future__ import annotations

from pathlib import Path

import pytest

from cms.registry import CmsContext, Listener, listener_of, open_cms
from settings.schema import CmsSettings
from stores.sql.engine import open_engine
from stores.sql.stores import open_stores
from sync.clock import SystemClock
from sync.errors import ConfigurationError


def test_unknown_kind_is_refused_with_those_that_are_installed(sqlite_url: str) -> None:
    stores = open_stores(open_engine(sqlite_url, busy_timeout_s=1), SystemClock())
    context = CmsContext(settings=CmsSettings(kind="wordpress"), stores=stores, clock=SystemClock())

    with pytest.raises(
        ConfigurationError, match=r"cms\.kind: 'wordpress' is not installed; one of .*embedded"
    ):
        open_cms(context)


def test_package_of_a_stranger_adds_a_cms(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.py").write_text(
        "from cms.embedded.adapter import EmbeddedCms\n"
        "class StrangersCms(EmbeddedCms):\n"
        "    told = []\n"
        "    def run_ended(self, run): self.told.append(run)\n"
        "def open_cms(context): return StrangersCms(context.stores)\n"
    )
    packaged = tmp_path / "stranger-1.0.dist-info"
    packaged.mkdir()
    (packaged / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (packaged / "entry_points.txt").write_text("[clubsync.cms]\nstranger = stranger:open_cms\n")
    monkeypatch.syspath_prepend(tmp_path)
    stores = open_stores(open_engine(sqlite_url, busy_timeout_s=1), SystemClock())
    cms = open_cms(CmsContext(settings=CmsSettings(kind="stranger"), stores=stores, clock=SystemClock()))

    assert type(cms).__name__ == "StrangersCms"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("def open_cms(context): raise KeyError('url')", "KeyError: 'url'"),
        ("def open_it(context): pass", "AttributeError: .* has no attribute 'open_cms'"),
    ],
)
def test_a_strangers_cms_that_does_not_work_is_named_with_the_reason(
    tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch, code: str, reason: str
) -> None:
    module = f"broken_cms_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(f"{code}\n")
    packaged = tmp_path / f"{module}-1.0.dist-info"
    packaged.mkdir()
    (packaged / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (packaged / "entry_points.txt").write_text(f"[clubsync.cms]\nbroken = {module}:open_cms\n")
    monkeypatch.syspath_prepend(tmp_path)
    stores = open_stores(open_engine(sqlite_url, busy_timeout_s=1), SystemClock())
    context = CmsContext(settings=CmsSettings(kind="broken"), stores=stores, clock=SystemClock())
    with pytest.raises(ConfigurationError, match=rf"cms\.kind: 'broken' \(.*\) does not work: {reason}"):
        open_cms(context)


def test_embedded_cms_is_told_nothing_of_runs(sqlite_url: str) -> None:
    stores = open_stores(open_engine(sqlite_url, busy_timeout_s=1), SystemClock())
    cms = open_cms(CmsContext(settings=CmsSettings(), stores=stores, clock=SystemClock()))

    assert not isinstance(cms, Listener)
    assert listener_of(cms) is None
