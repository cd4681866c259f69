"""The same promises with gevent's patches in place, as `dramatiq-gevent` runs workers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PATCHED_PYTEST = (
    "from gevent import monkey; monkey.patch_all(); import sys, pytest; sys.exit(pytest.main(sys.argv[1:]))"
)


MODULES = ("test_delivery.py", "test_priority.py", "test_recovery.py")


@pytest.mark.slow
def test_a_patched_process_keeps_the_same_promises() -> None:
    finished = subprocess.run(
        [
            sys.executable,
            "-c",
            PATCHED_PYTEST,
            "-q",
            "-p",
            "no:cacheprovider",
            "--tb=short",
            *(str(HERE / module) for module in MODULES),
        ],
        cwd=HERE.parents[2],
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert finished.returncode == 0, finished.stdout[-5000:]
