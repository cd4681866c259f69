"""The way out under gevent, as workers run it: the same tests in a patched process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("module", ["test_fetcher.py", "test_quota.py"])
def test_way_out_holds_its_promises_under_gevent(module: str) -> None:
    finished = subprocess.run(
        [
            *(sys.executable, "-m", "gevent.monkey", "--module", "pytest"),
            *("-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(HERE / module)),
        ],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-3000:] + finished.stderr[-3000:]
