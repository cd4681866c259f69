"""`python -m benchmarks` where something is missing."""

from __future__ import annotations

import sys

import pytest

from benchmarks.__main__ import main


def test_a_missing_package_is_named_with_what_installs_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for module in [name for name in sys.modules if name.startswith("benchmarks.sync")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "sync"])
    assert main() == 1
    said = capsys.readouterr().err
    assert "psutil is missing" in said
    assert "./test" in said
