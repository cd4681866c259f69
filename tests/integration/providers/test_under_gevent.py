"""The way out under gevent, as workers run it: the same tests in a patched process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


MODULES = ("test_fetcher.py", "test_quota.py")


@pytest.mark.slow
def test_way_out_holds_its_promises_under_gevent() -> None:
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "gevent.monkey", "--module", "pytest"),
            *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", *(str(HERE / module) for module in MODULES)),
        ],
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
